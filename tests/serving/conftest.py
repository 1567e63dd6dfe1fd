"""A tiny model with a tiny preprocessor: words, a vocabulary file, an embedding, a dense layer."""

import keras
import pytest
import tensorflow as tf

from polysemy import serving

WORDS = ["the", "river", "bank", "rose", "was", "robbed", "café", "."]
SENTENCES = ["the river bank rose .", "the bank was robbed", "café", ""]


class ToyPreprocessor(tf.Module):
    """Whitespace words -> `token_ids` (0 padding, 1 unknown) and `padding_mask`."""

    def __init__(self, vocabulary_file):
        super().__init__()
        initializer = tf.lookup.TextFileInitializer(
            str(vocabulary_file),
            tf.string,
            tf.lookup.TextFileIndex.WHOLE_LINE,
            tf.int64,
            tf.lookup.TextFileIndex.LINE_NUMBER,
        )
        self.table = tf.lookup.StaticHashTable(initializer, default_value=-1)

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
def make_model(tmp_path_factory):
    def make(**arguments):
        vocabulary = tmp_path_factory.mktemp("vocabulary") / "words.txt"
        vocabulary.write_text("\n".join(WORDS), encoding="utf-8")
        return ToyModel(ToyPreprocessor(vocabulary), **arguments)

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
