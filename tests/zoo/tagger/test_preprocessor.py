"""Text of every kind goes through the tagger's preprocessor and the tagger."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from polysemy.zoo.elmo.preprocessor import ElmoPreprocessor
from polysemy.zoo.tagger.preprocessor import TaggerPreprocessor


@pytest.fixture(scope="module", params=["elmo", "pieces"])
def tagger(request, make_tagger):
    return make_tagger(request.param, num_layers=1)


@pytest.fixture(scope="module")
def forward(tagger, traced):
    return traced(tagger)


@pytest.mark.parametrize(
    ("sentence", "length"),
    [
        ("", 0),
        ("   \t\n ", 0),
        ("x" * 10_000, 1),
        ("word " * 5_000, 5_000),
        ("東京 は 🏙️ 👩‍👩‍👧 です", 5),
        (b"caf\xe9 \xff\xfe ok", 3),
        ("a\u00a0b c", 2),
    ],
    ids=["empty", "spaces", "long_word", "long_sentence", "cjk_emoji", "invalid_utf8", "nbsp"],
)
def test_every_text(tagger, forward, sentence, length):
    inputs = tagger.preprocessor(tf.constant([sentence, "the cat"]))
    assert inputs["padding_mask"].numpy().sum(-1).tolist() == [length, 2]
    outputs = forward(inputs)
    for values in outputs.values():
        assert np.isfinite(values).all()
    assert not outputs["probabilities"][0, length:].any()
    np.testing.assert_allclose(outputs["probabilities"][0, :length].sum(-1), 1, atol=1e-4)


def test_no_sentence_at_all(tagger, forward):
    outputs = forward(tagger.preprocessor(tf.constant([], tf.string)))
    assert outputs["tag_ids"].shape == (0, 1)


def test_words_and_case():
    preprocessor = TaggerPreprocessor(words=["ōsaka", "the"], max_characters=6)
    inputs = preprocessor.tokens([["The", "THE", "Ōsaka", "dog"], ["the"]])
    assert inputs["word_ids"].numpy().tolist() == [[3, 3, 2, 1], [3, 0, 0, 0]]
    characters = inputs["character_ids"].numpy()
    assert characters.shape == (2, 4, 6)
    assert (characters[0, 0] != characters[0, 1]).any()  # these do see the case
    assert not characters[1, 1:].any()


def test_padding_and_unknown_word_are_no_words():
    """A text may hold the names that the vocabulary has for them."""
    preprocessor = TaggerPreprocessor(words=["a"])
    assert preprocessor(["<pad> <unk> a"])["word_ids"].numpy().tolist() == [[1, 1, 2]]
    listed = TaggerPreprocessor(words=["<unk>", "<pad>", "a"])
    assert listed(["a <unk> b"])["word_ids"].numpy().tolist() == [[4, 2, 1]]


def test_length_and_encoder():
    preprocessor = TaggerPreprocessor(["a"], ElmoPreprocessor(), sequence_length=3)
    inputs = preprocessor(["a b c d", ""])
    assert set(inputs) == {
        "word_ids", "character_ids", "padding_mask", "encoder_character_ids",
        "encoder_padding_mask",
    }  # fmt: skip
    for name, value in inputs.items():
        assert value.shape[:2] == (2, 3), name
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(preprocessor))
    assert again.get_config() == preprocessor.get_config()
    for name, value in again(["a b c d", ""]).items():
        np.testing.assert_array_equal(value, inputs[name])
