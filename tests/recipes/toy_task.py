"""A tiny task for the tests of the trainer; run as a script it is a training process that can be
killed.

    python toy_task.py OUT key=value …

The model classifies random vectors; it has dropout and a layer with a state, which a resumed
training must have back. The loss is a mean over the rows that a mask leaves, so that replicas have
unequal shares of it.
"""

from __future__ import annotations

import dataclasses
import os
import signal
import sys

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from polysemy.recipes.config import DataConfig, Experiment, TaskConfig, TrainerConfig
from polysemy.recipes.tasks.task import Task


@dataclasses.dataclass(frozen=True)
class ToyConfig(TaskConfig):
    units: int = 4
    dropout: float = 0.5
    stateful: bool = True
    examples: int = 50
    batch_size: int = 8

    def create(self, experiment: Experiment) -> Toy:
        return Toy(experiment)


class RunningMean(keras.layers.Layer):
    """Subtracts a running mean, whose value depends on all batches before."""

    def build(self, input_shape):
        self.mean = self.add_weight(
            shape=(input_shape[-1],), initializer="zeros", trainable=False, name="mean"
        )

    def call(self, inputs, training=False):
        if training:
            self.mean.assign(0.5 * self.mean + 0.5 * ops.mean(inputs, axis=0))
        return inputs - self.mean


class Killer(keras.callbacks.Callback):
    """Kills its own process at step TOY_KILL_AT, as a machine that fails would."""

    def on_train_batch_end(self, batch, logs=None):
        if int(self.model.optimizer.iterations) == int(os.environ["TOY_KILL_AT"]):
            os.kill(os.getpid(), signal.SIGKILL)


class WeightsWriter(keras.callbacks.Callback):
    """Writes this process's own weights to TOY_WEIGHTS."""

    def on_train_end(self, logs=None):
        np.savez(os.environ["TOY_WEIGHTS"], *self.model.get_weights())


def masked_mean(targets, logits):
    """Cross entropy, averaged over the rows whose target is not negative: a scalar, whose scale
    Keras leaves alone.
    """
    losses = keras.losses.sparse_categorical_crossentropy(
        ops.maximum(targets, 0), logits, from_logits=True
    )
    mask = ops.cast(targets >= 0, losses.dtype)
    return ops.divide_no_nan(ops.sum(losses * mask), ops.sum(mask))


class Masked(keras.Model):
    """Adds the masked mean as a loss of its own."""

    def __init__(self, inputs, outputs):
        super().__init__(inputs, outputs)

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        del x, sample_weight, training
        return masked_mean(y, y_pred) / tf.distribute.get_strategy().num_replicas_in_sync


class Toy(Task):
    monitor = ("accuracy", "max")

    def __init__(self, experiment: Experiment):
        super().__init__(experiment)
        assert isinstance(experiment.task, ToyConfig)
        self.config = experiment.task

    def build_model(self) -> keras.Model:
        inputs = keras.Input((3,), name="features")
        x = RunningMean()(inputs) if self.config.stateful else inputs
        x = keras.layers.Dense(self.config.units, activation="tanh")(x)
        x = keras.layers.Dropout(self.config.dropout)(x)
        return Masked(inputs, keras.layers.Dense(2)(x))

    def examples(self, seed: int, count: int):
        generator = np.random.default_rng(seed)
        features = generator.normal(size=(count, 3)).astype("float32")
        targets = (features.sum(-1) > 0).astype("int32")
        return features, np.where(generator.uniform(size=count) < 0.3, -1, targets)

    def train_dataset(self, pass_seed: int) -> tf.data.Dataset:
        dataset = tf.data.Dataset.from_tensor_slices(self.examples(0, self.config.examples))
        return dataset.shuffle(1000, seed=pass_seed).batch(self.config.batch_size)

    def loss_weight(self, batch):
        return tf.reduce_sum(tf.cast(batch[1] >= 0, tf.int64))

    def evaluate(self, model: keras.Model, split: str) -> dict[str, float]:
        features, targets = self.examples(1 if split == "dev" else 2, 40)
        dataset = tf.data.Dataset.from_tensor_slices((features, targets)).batch(16)
        logits = np.concatenate([output for _, output in self.predict(model, dataset)])
        known = targets >= 0
        hits = (logits.argmax(-1) == targets)[known]
        loss = float(masked_mean(targets, logits))
        return {"accuracy": float(hits.mean()), "loss": loss}

    def callbacks(self) -> list[keras.callbacks.Callback]:
        wanted = {"TOY_KILL_AT": Killer, "TOY_WEIGHTS": WeightsWriter}
        return [callback() for name, callback in wanted.items() if name in os.environ]


toy = Experiment(
    name="toy",
    task=ToyConfig(),
    trainer=TrainerConfig(steps=30, steps_per_epoch=10, learning_rate=0.05),
    data=DataConfig(name="random vectors"),
    seeds=(1,),
    variants={"default": {}, "wide": {"task.units": 16}},
    paper="99.0",
)


def main(out: str, *overrides: str) -> None:
    """Trains one seed of the default variant; with TOY_CPUS, on so many logical devices."""
    cpus = int(os.environ.get("TOY_CPUS", "1"))
    if cpus > 1:
        tf.config.set_logical_device_configuration(
            tf.config.list_physical_devices("CPU")[0],
            [tf.config.LogicalDeviceConfiguration()] * cpus,
        )
    from polysemy.recipes.run import run_experiment

    run_experiment(toy, out=out, variants=["default"], overrides=overrides)


if __name__ == "__main__":
    main(*sys.argv[1:])
