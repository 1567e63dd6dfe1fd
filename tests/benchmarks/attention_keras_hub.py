# pyright: reportMissingImports=false
# keras-hub is in the benchmark's environment only.
"""keras-hub's side of the attention family. Started by `attention.py`, as a process."""

import keras_hub
import numpy as np
import tensorflow as tf
import worker


def encode(dtype, config, rows, length):
    """`BertBackbone` in a `tf.function`, with weights of its own: "encode"."""
    model = keras_hub.models.BertBackbone(
        vocabulary_size=config["vocabulary_size"],
        num_layers=config["num_layers"],
        num_heads=config["num_heads"],
        hidden_dim=config["hidden_dim"],
        intermediate_dim=config["intermediate_dim"],
        dtype=dtype,
    )
    ids = np.random.default_rng(0).integers(1, 1000, (rows, length))
    arrays = {"token_ids": ids, "segment_ids": 0 * ids, "padding_mask": 0 * ids + 1}
    inputs = {name: tf.constant(x, tf.int32) for name, x in arrays.items()}

    @tf.function(autograph=False)
    def run(inputs):
        return model(inputs, training=False)["sequence_output"]

    run(inputs)
    return {"encode": lambda: run(inputs)}


if __name__ == "__main__":
    tf.config.threading.set_intra_op_parallelism_threads(worker.THREADS)
    tf.config.threading.set_inter_op_parallelism_threads(worker.THREADS)
    worker.serve({"encode": encode}, {"keras-hub": keras_hub.__version__})
