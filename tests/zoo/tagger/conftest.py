"""Taggers small enough for tests, around encoders of every kind; two of these exist only here."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import ops

from polysemy.zoo.backbone import Backbone
from polysemy.zoo.elmo.backbone import Elmo
from polysemy.zoo.preprocessor import Preprocessor
from polysemy.zoo.tagger.model import Tagger
from polysemy.zoo.text.vocabulary import Vocabulary

WORDS = ["the", "cat", "Ōsaka"]
TAGS = ["O", "B-LOC", "I-LOC", "B-PER", "I-PER"]
START_PIECE, MAX_PIECES = 257, 3


@keras.saving.register_keras_serializable(package="polysemy_tests")
class TablePreprocessor(Preprocessor):
    """Words to `token_ids`."""

    def __init__(self, words, sequence_length=None, name=None):
        super().__init__(sequence_length=sequence_length, name=name)
        self.words = list(words)
        self.vocabulary = Vocabulary(["<unk>", *words], unknown="<unk>")

    def encode(self, tokens):
        return {"token_ids": self.vocabulary(tokens)}

    def get_config(self):
        return {**super().get_config(), "words": self.words}


@keras.saving.register_keras_serializable(package="polysemy_tests")
class Table(Backbone):
    """Word vectors and nothing else: the backbone with the fewest outputs."""

    def __init__(self, words, dim=4, name="table", **kwargs):
        embedding = keras.layers.Embedding(len(words) + 1, dim, name="embedding")
        inputs = {
            "token_ids": keras.Input((None,), dtype="int32", name="token_ids"),
            "padding_mask": keras.Input((None,), dtype="bool", name="padding_mask"),
        }
        outputs = {"sequence_output": embedding(inputs["token_ids"])}
        super().__init__(inputs=inputs, outputs=outputs, name=name, **kwargs)
        self.words = list(words)
        self.dim = dim

    def make_preprocessor(self):
        return TablePreprocessor(self.words)

    def get_config(self):
        return {**super().get_config(), "words": self.words, "dim": self.dim}


@keras.saving.register_keras_serializable(package="polysemy_tests")
class PiecesPreprocessor(Preprocessor):
    """Words to their first bytes, one piece each, behind one start piece, as BERT's are."""

    def tokens(self, tokens):
        tokens = self.pad(tokens)
        pieces = tf.strings.bytes_split(tokens)[:, :, :MAX_PIECES]  # (B, W, (pieces))
        counts = tf.minimum(tf.strings.length(tokens), MAX_PIECES)  # (B, W)
        positions = tf.where(counts > 0, 1 + tf.cumsum(counts, axis=1, exclusive=True), 0)
        pieces = pieces.merge_dims(1, 2)
        ids = tf.ragged.map_flat_values(
            lambda x: 1 + tf.cast(tf.io.decode_raw(x, tf.uint8, fixed_length=1)[:, 0], tf.int32),
            pieces,
        ).to_tensor(0)
        ids = tf.pad(ids, [[0, 0], [1, 0]], constant_values=START_PIECE)
        return {"token_ids": ids, "padding_mask": ids > 0, "word_positions": positions}


@keras.saving.register_keras_serializable(package="polysemy_tests")
class Pieces(Backbone):
    """Two layers over pieces of words, and a pooled output that a tagger has no use for."""

    splits_words = True

    def __init__(self, dim=4, name="pieces", **kwargs):
        embedding = keras.layers.Embedding(START_PIECE + 1, dim, name="embedding")
        dense = keras.layers.Dense(dim, activation="tanh", name="dense")
        pooler = keras.layers.Dense(dim, name="pooler")
        inputs = {
            "token_ids": keras.Input((None,), dtype="int32", name="token_ids"),
            "padding_mask": keras.Input((None,), dtype="bool", name="padding_mask"),
        }
        lowest = embedding(inputs["token_ids"])  # (B, P, D)
        mask = ops.cast(ops.expand_dims(inputs["padding_mask"], -1), lowest.dtype)
        mean = ops.sum(lowest * mask, axis=1, keepdims=True) / ops.sum(mask, axis=1, keepdims=True)
        top = dense(lowest + mean)
        outputs = {
            "sequence_output": top,
            "layer_outputs": ops.stack([lowest, top], axis=1),
            "pooled_output": pooler(top[:, 0]),
        }
        super().__init__(inputs=inputs, outputs=outputs, name=name, **kwargs)
        self.dim = dim

    def make_preprocessor(self):
        return PiecesPreprocessor()

    def get_config(self):
        return {**super().get_config(), "dim": self.dim}


def make_encoder(kind):
    if kind == "none":
        return None
    if kind == "elmo":
        return Elmo(
            filters=[[1, 3], [2, 4]],
            num_highway_layers=1,
            character_embedding_dim=3,
            hidden_dim=6,
            projection_dim=4,
            mix_l2=0.5,  # of its own mix, which is not the tagger's
        )
    return Table(WORDS) if kind == "table" else Pieces()


NUM_LAYERS = {"elmo": 3, "table": 1, "pieces": 2}


def _make_tagger(kind="none", **arguments):
    small = {
        "tags": TAGS,
        "words": ["the", "cat"],
        "scheme": "BIO",
        "word_dim": 3,
        "character_filters": [[2, 3]],
        "num_layers": 2,
        "hidden_dim": 5,
        "dropout": 0.0,
    }
    return _scramble(Tagger(make_encoder(kind), **{**small, **arguments}))


def _scramble(model):
    """Gives every weight a value of its own, so that nothing vanishes or coincides by chance."""
    rng = np.random.default_rng(3)
    for variable in model.weights:
        if "seed" not in variable.path:
            variable.assign(rng.normal(scale=0.5, size=variable.shape))
    return model


@pytest.fixture(scope="module")
def make_tagger():
    """`make_tagger(kind, **arguments)`: a small tagger around a "none", "elmo", "table" or
    "pieces" encoder, with random weights.
    """
    return _make_tagger


@pytest.fixture(scope="session")
def num_layers():
    """How many layers each kind of encoder hands out."""
    return NUM_LAYERS


@pytest.fixture(scope="session")
def tags():
    return TAGS


@pytest.fixture(scope="session")
def traced(arrays):
    """`traced(model)`: the model as a function of its inputs, traced once for batches of all
    shapes; returns a dict of numpy arrays.
    """

    def trace(model):
        spec = {
            name: tf.TensorSpec([None, *x.shape[1:]], x.dtype) for name, x in model.input.items()
        }
        function = tf.function(lambda inputs: model(inputs), autograph=False)
        concrete = function.get_concrete_function(spec)
        return lambda inputs: arrays(concrete({name: inputs[name] for name in spec}))

    return trace
