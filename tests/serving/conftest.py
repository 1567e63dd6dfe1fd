"""A tiny model with a tiny preprocessor: words, a vocabulary file, an embedding, a dense layer.

Also what asks a server over REST.
"""

import functools
import http.client
import json

import keras
import pytest
import tensorflow as tf

from polysemy import serving

WORDS = ["the", "river", "bank", "rose", "was", "robbed", "café", "."]
SENTENCES = ["the river bank rose .", "the bank was robbed", "café", ""]


class ToyPreprocessor(tf.Module):
    """Whitespace words -> `token_ids` (0 padding, 1 unknown) and `padding_mask`.

    `table` gives words their lines in the vocabulary, unknown ones -1.
    """

    def __init__(self, table):
        super().__init__()
        self.table = table

    def tokenize(self, sentences):
        return tf.strings.split(sentences)

    def tokens(self, tokens):
        if isinstance(tokens, tf.RaggedTensor):
            tokens = tokens.to_tensor("")
        ids = tf.cast(self.table.lookup(tokens) + 2, tf.int32)
        mask = tokens != ""
        return {"token_ids": tf.where(mask, ids, 0), "padding_mask": mask, "unused": ids}

    def __call__(self, sentences):
        return self.tokens(self.tokenize(tf.convert_to_tensor(sentences)))


class ToyModel(keras.Model):
    """Embedding, dropout and a regularized dense layer over `token_ids` and `padding_mask`."""

    def __init__(self, preprocessor, dropout=0.5, **kwargs):
        token_ids = keras.Input((None,), dtype="int32", name="token_ids")
        padding_mask = keras.Input((None,), dtype="bool", name="padding_mask")
        hidden = keras.layers.Embedding(len(WORDS) + 2, 5, name="embedding")(token_ids)
        hidden = keras.layers.Dropout(dropout, name="dropout")(hidden)
        dense = keras.layers.Dense(
            4, "tanh", kernel_regularizer=keras.regularizers.L2(0.1), name="dense"
        )
        weights = keras.ops.cast(padding_mask, hidden.dtype)[..., None]
        sequence = dense(hidden) * weights
        super().__init__(
            inputs={"token_ids": token_ids, "padding_mask": padding_mask},
            outputs={"sequence_output": sequence},
            **kwargs,
        )
        self.preprocessor = preprocessor

    def serving_outputs(self, outputs, inputs):
        sequence = outputs["sequence_output"]
        length = tf.reduce_sum(tf.cast(inputs["padding_mask"], tf.float32), -1)
        return {
            "words": inputs["tokens"],
            "sequence_output": sequence,
            "default": tf.reduce_sum(sequence, 1) / tf.maximum(length, 1.0)[:, None],
        }

    def serving_signatures(self):
        def count(token_ids):
            return {"count": tf.math.count_nonzero(token_ids, -1, dtype=tf.int32)}

        spec = tf.TensorSpec([None, None], tf.int32)
        return {"count": {"function": count, "inputs": {"token_ids": spec}}}


@pytest.fixture(scope="session")
def make_table(tmp_path_factory):
    """`make_table("words.txt", words, unknown=-1)`: from words to their lines in an asset."""

    def make(name, words, unknown):
        vocabulary = tmp_path_factory.mktemp("vocabulary") / name
        vocabulary.write_text("\n".join(words), encoding="utf-8")
        initializer = tf.lookup.TextFileInitializer(
            str(vocabulary),
            tf.string,
            tf.lookup.TextFileIndex.WHOLE_LINE,
            tf.int64,
            tf.lookup.TextFileIndex.LINE_NUMBER,
        )
        return tf.lookup.StaticHashTable(initializer, default_value=unknown)

    return make


@pytest.fixture(scope="session")
def make_model(make_table):
    def make(**arguments):
        return ToyModel(ToyPreprocessor(make_table("words.txt", WORDS, unknown=-1)), **arguments)

    return make


@pytest.fixture(scope="session")
def toy(make_model):
    """One model for all tests that do not change it."""
    keras.utils.set_random_seed(7)
    return make_model()


@pytest.fixture(scope="session")
def direct(toy):
    """What the model answers for `SENTENCES` in this process, by output name."""
    features = toy.preprocessor(SENTENCES)
    inputs = {name: features[name] for name in ("token_ids", "padding_mask")}
    tokens = toy.preprocessor.tokenize(tf.constant(SENTENCES)).to_tensor("")
    outputs = toy.serving_outputs(toy(inputs), {**inputs, "tokens": tokens})
    return {name: output.numpy() for name, output in outputs.items()}


@pytest.fixture(scope="session")
def models(toy, tmp_path_factory):
    """A folder with two models: `toy` with versions 1 and 3, and `plain` without text."""
    directory = tmp_path_factory.mktemp("models")
    serving.export(toy, directory / "toy", version=1)
    serving.export(toy, directory / "toy", version=3, warmup=SENTENCES)
    a, b = keras.Input((2,), name="a"), keras.Input((2,), name="b")
    difference = keras.ops.subtract(a, keras.ops.multiply(b, 2))
    plain = keras.Model({"a": a, "b": b}, {"difference": difference})
    serving.export(plain, directory / "plain")
    return directory


@pytest.fixture(scope="session")
def sentences():
    return list(SENTENCES)


@pytest.fixture(scope="session")
def ask_rest():
    """`ask_rest(port, "GET", "/v1/models/toy")`: the status and the decoded JSON, or the text."""

    def ask(port, method, path, body=None, headers=None):
        connection = http.client.HTTPConnection("localhost", port, timeout=20)
        content = body if isinstance(body, (bytes, type(None))) else json.dumps(body).encode()
        connection.request(method, path, content, headers or {})
        response = connection.getresponse()
        text = response.read()
        connection.close()
        if response.headers["Content-Type"] != "application/json":
            return response.status, text.decode()
        return response.status, json.loads(text)

    return ask


@pytest.fixture
def rest(server, ask_rest):
    """`ask_rest` of the folder's own server. Not of the session: each folder has another."""
    return functools.partial(ask_rest, server.rest_api_port)
