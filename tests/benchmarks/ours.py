"""Our side: what `run.py` measures of Polysemy. Started by it, as a process."""

import keras
import numpy as np
import tensorflow as tf
import worker

from polysemy.layers import ProjectedLSTM
from polysemy.recipes.data import corpora
from polysemy.zoo import Elmo
from polysemy.zoo.elmo.sizes import ELMO_SIZES


def text(data_root, rows, words):
    """Rows of exactly `words` words, and where they are from.

    With a data root: the first words of paragraphs that stand evenly spaced in the test part of
    WikiText-2. Without: running text of the bundled sample.
    """
    if data_root:
        paragraphs = [s["tokens"] for s in corpora.sentences("wikitext2", data_root, "test")]
        long_enough = [tokens[:words] for tokens in paragraphs if len(tokens) >= words]
        step = len(long_enough) // rows
        chosen, source = long_enough[: step * rows : step], "WikiText-2, test part"
    else:
        running = [w for s in corpora.sentences("sample_text", None, "train") for w in s["tokens"]]
        chosen = [running[i * words : (i + 1) * words] for i in range(rows)]
        source = "the bundled sample, not WikiText-2 (no --data-root)"
    if len(chosen) < rows or any(len(row) < words for row in chosen):
        raise ValueError(f"the corpus must hold {rows} rows of {words} words. Received: {source}")
    distinct = len({word for row in chosen for word in row})
    return {"sentences": [" ".join(row) for row in chosen], "source": source, "distinct": distinct}


def lstm(dtype, sizes, arrays):
    """`ProjectedLSTM` in `tf.function`s: "forward", and "training" with all gradients.

    Args:
        dtype: str. The Keras policy.
        sizes: dict with rows, steps, inputs, units, projection.
        arrays: path. Weights, input and results are left there, for the peer to agree with.
    """
    keras.utils.set_random_seed(1)
    layer = ProjectedLSTM(sizes["units"], sizes["projection"], dtype=dtype)
    layer.build((None, None, sizes["inputs"]))
    x = tf.random.normal((sizes["rows"], sizes["steps"], sizes["inputs"]), seed=1)
    weights = [weight.value for weight in layer.weights]
    signature = [tf.TensorSpec(x.shape, tf.float32)]

    @tf.function(input_signature=signature, autograph=False)
    def forward(x):
        return layer(x)

    @tf.function(input_signature=signature, autograph=False)
    def training(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            loss = tf.reduce_sum(tf.cast(layer(x), tf.float32))
        # The loss too, as in training: without it nothing that only it reads would be computed.
        return loss, tape.gradient(loss, [x, *weights])

    _, gradients = training(x)
    names = [weight.name for weight in layer.weights]
    results = {"x": x, "outputs": tf.cast(forward(x), tf.float32)}
    results |= dict(zip(names, layer.get_weights(), strict=True))
    results |= {f"d_{name}": g for name, g in zip(["x", *names], gradients, strict=True)}
    _save(arrays, results)
    return {"forward": lambda: forward(x), "training": lambda: training(x)}


def elmo(dtype, size, sentences, arrays=None):
    """`Elmo` from strings to all layers in one `tf.function`: "inference".

    Args:
        dtype: str. The Keras policy.
        size: str. See `Elmo.from_size`.
        sentences: list of str.
        arrays: path or None. Weights and results are left there, for the peer to agree with.
    """
    keras.utils.set_random_seed(1)
    model = Elmo.from_size(size, dtype=dtype)

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string)], autograph=False)
    def inference(sentences):
        return model(model.preprocessor(sentences), training=False)["layer_outputs"]

    batch = tf.constant(sentences)
    outputs = inference(batch)
    if arrays:
        parts = (model.token_encoder, model.bidirectional_lm)
        results = {v.path: v for part in parts for v in part.weights}
        _save(arrays, {"layer_outputs": tf.cast(outputs, tf.float32), **results})
    return {"inference": lambda: inference(batch)}


def _save(path, tensors):
    arrays = {name: np.asarray(value) for name, value in tensors.items()}
    np.savez(path, allow_pickle=False, **arrays)


def elmo_config(size):
    """What the peer must know to build the same network."""
    names = ("filters", "num_highway_layers", "projection_dim", "hidden_dim")
    return {name: ELMO_SIZES[size][name] for name in names}


if __name__ == "__main__":
    tf.config.threading.set_intra_op_parallelism_threads(worker.THREADS)
    tf.config.threading.set_inter_op_parallelism_threads(worker.THREADS)
    worker.serve(
        {"text": text, "lstm": lstm, "elmo": elmo, "elmo_config": elmo_config},
        {"tensorflow": tf.__version__, "keras": keras.__version__},
    )
