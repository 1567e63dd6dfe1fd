"""Trainer: a task, trained by Keras `fit` in a folder of its own, resumed where it was."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from .callbacks import Backup, BestWeights, Epochs, MetricsLog, Progress
from .config import TrainerConfig
from .distributed_model import distributed_model
from .optimizers import build_optimizer
from .state import TrainingState
from .strategy import is_chief, mean_over_workers, speaker
from .tasks.task import Task


class Trainer:
    """Trains a task's model and keeps the best weights.

    Everything is saved after each epoch; the same call on the same folder goes on from there, with
    the same result as without the interruption. A finished training is not repeated. The random
    draws of a model must come from Keras seed generators (as in Keras layers), which are part of
    what is saved.

    Args:
        task: Task, set up already.
        directory: folder of the run; holds `checkpoint/`, `best.weights.h5`, `metrics.csv`,
            `tensorboard/`.
        strategy: a `tf.distribute` strategy, or None for one device.

    Attributes:
        model: keras.Model. Built at construction, under the strategy's scope.
        state: TrainingState. After `train` that of the end.
    """

    def __init__(
        self,
        task: Task,
        directory: str | Path,
        strategy: tf.distribute.Strategy | None = None,
    ):
        self.task = task
        self.config: TrainerConfig = task.experiment.trainer
        self.directory = Path(directory)
        self.strategy = strategy
        self.chief = is_chief(strategy)
        task.say = speaker(self.chief)
        if self.chief:
            self.directory.mkdir(parents=True, exist_ok=True)
        self.state = TrainingState()
        self.best_weights = self.directory / "best.weights.h5"
        with self._scope():
            self.model = task.build_model()
        self._backup = Backup(self.directory / "checkpoint", writes=self.chief)
        self._best = BestWeights(
            self.best_weights, task.monitor, self.config.patience, writes=self.chief
        )
        self._log = MetricsLog(self.directory, writes=self.chief)

    def train(self) -> TrainingState:
        """Trains to the end, or says that this has been done; `model` has the best weights
        afterwards.
        """
        saved = self._backup.read_state()
        if saved is not None and saved.finished:
            self.state = saved
            Progress(None, visible=self.chief).message(
                f"already trained: {saved.step} steps, best {self._score(saved)}; nothing to do "
                f"in {self.directory}"
            )
        else:
            self._train()
        self.load_best()
        return self.state

    def load_best(self) -> None:
        """Sets the model to the best weights of the training."""
        if not self.best_weights.exists():
            raise FileNotFoundError(
                "A run must be trained before it is evaluated or exported. Received: "
                f"{self.directory}, without "
                f"{self.best_weights.name}."
            )
        self.model.load_weights(self.best_weights)

    def evaluate(self, split: str) -> dict[str, float]:
        """Returns the task's scores on a split; the model's states are afterwards what they were
        before.
        """
        with _restored(self.model):
            scores = self.task.evaluate(self.model, split)
        # Workers on different machines may round differently; they must decide alike.
        scores = {name: float(score) for name, score in scores.items()}
        return mean_over_workers(self.strategy, scores)

    def _train(self) -> None:
        """Compiles, restores, and fits pass after pass."""
        self.task.check_data()
        total_steps = self._total_steps()
        self._compile(total_steps)
        self.state = self._backup.restore(self.model) or TrainingState()
        self._log.truncate(self.state.epoch)
        tokens = tf.Variable(0, dtype=tf.int64, trainable=False, name="tokens")
        self._progress = Progress(total_steps, self.state.step, visible=self.chief)
        epochs = Epochs(self.config, self.state, self._progress, tokens, self._end_epoch)
        if self.state.step:
            self._progress.message(
                f"resumed at step {self.state.step}, epoch {self.state.epoch}, in {self.directory}"
            )
        self._progress.start()
        try:
            while not self.state.finished:
                self._fit_pass(epochs, tokens)
        finally:
            self._progress.stop()
            self._log.close()

    def _fit_pass(self, epochs: Epochs, tokens: tf.Variable) -> None:
        """Trains on what is left of one pass over the data."""
        index, offset, step = self.state.pass_index, self.state.offset, self.state.step
        dataset = self._dataset(index)
        if offset:
            # Not `dataset` itself: a `tf.data` shuffle gives another order when it is read again.
            if not any(True for _ in self._dataset(index).skip(offset).take(1)):
                self.state.pass_index, self.state.offset = index + 1, 0
                return  # the backup was made after the last batch of the pass
            dataset = dataset.skip(offset)
        else:
            self.task.on_pass_begin(self.model)

        def count(first: Any, *others: Any):
            whole = (first, *others) if others else first
            tokens.assign_add(tf.cast(self.task.count_tokens(whole), tf.int64))
            return whole

        options = tf.data.Options()
        # Workers take shares of the same batches, not different files.
        options.experimental_distribute.auto_shard_policy = (
            tf.data.experimental.AutoShardPolicy.DATA
        )
        weight = self.task.loss_weight
        with (
            distributed_model(self.model, self.strategy, weight, dataset.element_spec),
            warnings.catch_warnings(),
        ):
            # A pass is over when its data are: Keras takes a generator's end for a mistake.
            warnings.filterwarnings("ignore", message="Your input ran out of data")
            self.model.fit(
                dataset.map(count).with_options(options),
                initial_epoch=index,
                epochs=index + 1,
                callbacks=[epochs, *self.task.callbacks()],
                shuffle=False,  # the task shuffles
                verbose=0,
            )
        if self.state.step == step:
            raise self._no_batch()

    def _end_epoch(self, scores: Mapping[str, float]) -> None:
        """Evaluates, logs, keeps the best weights, and saves: in this order, so that a kill between
        two repeats the epoch.
        """
        state, dev = self.state, self.task.dev_split
        dev_scores = self.evaluate(dev)
        best = self._best.update(self.model, state, dev_scores)
        state.finished = state.finished or self._best.exhausted(state)
        numbers = {**scores, **{f"{dev}_{name}": value for name, value in dev_scores.items()}}
        optimizer: Any = self.model.optimizer
        rate = {"learning_rate": float(tf.convert_to_tensor(optimizer.learning_rate))}
        self._log.append({"epoch": state.epoch, "step": state.step, **numbers, **rate})
        self._backup.save(self.model, state)
        self._progress.update(state.step, numbers)
        self._progress.line(state.epoch, state.step, numbers, "(best)" if best else "")
        mean_over_workers(self.strategy, {"saved": 1.0})  # none goes on before the chief has saved
        if self._best.exhausted(state):
            self._progress.message(
                f"stopped: no better {dev} {self._best.name} for {self.config.patience} epochs"
            )

    def _compile(self, total_steps: int | None) -> None:
        """Compiles the model with the configured optimizer."""
        config, accumulation = self.config, self.config.gradient_accumulation
        if accumulation > 1 and self._num_replicas() > 1:
            raise ValueError(
                "`trainer.gradient_accumulation` must be 1 on several replicas, whose gradients "
                "Keras cannot add up conditionally; divide the batch among more replicas instead. "
                f"Received: gradient_accumulation={accumulation}, "
                f"replicas={self._num_replicas()}."
            )
        if total_steps is not None and total_steps < accumulation:
            raise ValueError(
                "`trainer.gradient_accumulation` must be at most the steps of the training, or "
                f"there is no update. Received: gradient_accumulation={accumulation}, "
                f"steps={config.steps}, epochs={config.epochs}, which is {total_steps} steps."
            )
        updates = total_steps // accumulation if total_steps else None
        arguments = {"jit_compile": config.jit_compile, **self.task.compile_arguments()}
        with self._scope():
            self.model.compile(optimizer=build_optimizer(config, updates, self.model), **arguments)

    def _total_steps(self) -> int | None:
        """Returns the steps of the whole training; None where epochs alone end it and nothing has
        to know their length.
        """
        config = self.config
        if config.epochs is None:
            return config.steps
        length = config.steps_per_epoch
        if length is None:
            length = int(self._dataset(0).cardinality())
            if length == tf.data.INFINITE_CARDINALITY:
                return config.steps
            if length == tf.data.UNKNOWN_CARDINALITY:
                if (
                    config.steps is None
                    and config.schedule != "linear"
                    and config.warmup_fraction is None
                    and config.gradient_accumulation == 1
                ):
                    return None
                length = self._count_batches()
            if length == 0:
                raise self._no_batch()
        total = config.epochs * length
        return total if config.steps is None else min(config.steps, total)

    def _count_batches(self) -> int:
        """Counts the batches of a pass, no further than `trainer.steps` lets a pass matter."""
        dataset = self._dataset(0)
        if self.config.steps is not None and self.config.epochs is not None:
            dataset = dataset.take(-(-self.config.steps // self.config.epochs))
        return sum(1 for _ in dataset)

    def _no_batch(self) -> ValueError:
        return ValueError(
            "`train_dataset` must yield at least one batch. Received: none, from "
            f"data.root={self.task.data.root!r}."
        )

    def _dataset(self, pass_index: int) -> tf.data.Dataset:
        """Returns the task's data of one pass: a function of the run's seed and the pass alone."""
        return self.task.train_dataset((self.task.seed * 1_000_003 + pass_index) % 2**31)

    def _scope(self):
        return self.strategy.scope() if self.strategy is not None else contextlib.nullcontext()

    def _num_replicas(self) -> int:
        return 1 if self.strategy is None else self.strategy.num_replicas_in_sync

    def _score(self, state: TrainingState) -> str:
        return f"{self.task.dev_split} {self._best.name} {state.best:.4g}, epoch {state.best_epoch}"


@contextlib.contextmanager
def _restored(model: keras.Model) -> Iterator[None]:
    """Gives a model's states, random ones too, their values back: evaluation must not change the
    training.
    """
    variables: list[Any] = model.non_trainable_variables
    values = [variable.numpy() for variable in variables]
    try:
        yield
    finally:
        for variable, value in zip(variables, values, strict=True):
            variable.assign(value)
