"""Trains a classifier around an export, and a model of the zoo; for `test_hub_replicas`.

    python hub_replicas.py VERSION_DIR OUT.npz REPLICAS

Writes the gradients of the first batch, the weights after training, and the losses of both.
"""

import sys

import keras
import numpy as np
import tensorflow as tf

from polysemy import zoo
from polysemy.serving import HubLayer

TEXTS = ["the bank was robbed", "the river rose", "robbed the café", "the river bank ."] * 2
LABELS = [1.0, 0.0, 1.0, 0.0] * 2


def build(path):
    keras.utils.set_random_seed(1)
    inputs = {
        "token_ids": keras.Input((None,), dtype="int32", name="token_ids"),
        "padding_mask": keras.Input((None,), dtype="int32", name="padding_mask"),
    }
    encoder = HubLayer(path, trainable=True, part="encoder", output_key="default", name="encoder")
    # The mode is fixed, since dropout would differ between one replica and two.
    features = {**inputs, "padding_mask": keras.ops.cast(inputs["padding_mask"], "bool")}
    score = keras.layers.Dense(1, activation="sigmoid")(encoder(features))
    model = keras.Model(inputs, score)
    model.compile(keras.optimizers.SGD(0.5), "binary_crossentropy", jit_compile=False)
    return model


def gradients(model, data, strategy):
    """Of the mean loss over all rows: the replicas' shares summed."""
    (batch,) = iter(strategy.experimental_distribute_dataset(data))
    values = [weight.value for weight in model.trainable_variables]

    @tf.function
    def run(batch):
        def step(text, label):
            with tf.GradientTape() as tape:
                score = model(text, training=True)[:, 0]
                losses = keras.losses.binary_crossentropy(label[:, None], score[:, None])
                loss = tf.reduce_sum(losses) / len(TEXTS)
            found = [tf.convert_to_tensor(g) for g in tape.gradient(loss, values)]
            return tf.distribute.get_replica_context().all_reduce("sum", found)

        return strategy.run(step, args=batch)

    return [strategy.experimental_local_results(value)[0].numpy() for value in run(batch)]


def language_model_losses(strategy):
    """Keras's own `fit` of a model with boolean masks among its inputs."""
    keras.utils.set_random_seed(1)
    with strategy.scope():
        sizes = {"num_layers": 1, "num_heads": 2, "hidden_dim": 8, "intermediate_dim": 8}
        backbone = zoo.GPT2(vocabulary_size=9, **sizes, dropout=0.0, attention_dropout=0.0)
        model = zoo.GPT2CausalLM(backbone)
        model.compile(keras.optimizers.SGD(0.5), jit_compile=False)
    ids = np.arange(24).reshape(4, 6) % 9
    inputs = {"token_ids": ids, "padding_mask": ids >= 0}
    return model.fit(inputs, batch_size=4, epochs=2, shuffle=False, verbose=0).history["loss"]


def main(path, out, replicas):
    strategy = tf.distribute.get_strategy()
    if int(replicas) > 1:
        cpu = tf.config.list_physical_devices("CPU")[0]
        tf.config.set_logical_device_configuration(
            cpu, [tf.config.LogicalDeviceConfiguration()] * int(replicas)
        )
        strategy = tf.distribute.MirroredStrategy([f"CPU:{i}" for i in range(int(replicas))])
    preprocessor = HubLayer(path, part="preprocessor")  # for `Dataset.map`: outside the scope
    data = tf.data.Dataset.from_tensor_slices((TEXTS, np.array(LABELS, np.float32)))

    def encode(texts, labels):
        # Keras averages a batch over the replicas to see its shapes: not of bool, nor of strings.
        return {
            name: tf.cast(value, tf.int32) for name, value in preprocessor(texts).items()
        }, labels

    with strategy.scope():
        model = build(path)
    first = gradients(model, data.batch(len(TEXTS)).map(encode), strategy)
    before = [weight.numpy() for weight in model.trainable_weights]
    losses = model.fit(data.batch(4).map(encode), epochs=3, shuffle=False, verbose=0).history[
        "loss"
    ]
    after = [weight.numpy() for weight in model.trainable_weights]
    moved = [np.abs(a - b).max() for a, b in zip(after, before, strict=True)]
    arrays = {f"gradient_{i}": value for i, value in enumerate(first)}
    arrays.update({f"weight_{i}": value for i, value in enumerate(after)})
    arrays["language_model_losses"] = language_model_losses(strategy)
    np.savez(out, losses=losses, moved=moved, replicas=strategy.num_replicas_in_sync, **arrays)


if __name__ == "__main__":
    main(*sys.argv[1:])
