"""Words to the character ids of the published biLMs."""

import numpy as np
import pytest
import tensorflow as tf

from polysemy.zoo.text.character_constants import BEGIN_SENTENCE, END_SENTENCE, boundary_row
from polysemy.zoo.text.characters import character_ids


def padded(*ids, length=50):
    return [*ids, *[261] * (length - len(ids))]


@pytest.mark.parametrize(
    "word, ids",
    [
        ("The", (259, 85, 105, 102, 260)),
        ("café", (259, 100, 98, 103, 196, 170, 260)),
        (b"\xff\x00\x80", (259, 256, 1, 129, 260)),  # no UTF-8: the bytes as they are
    ],
)
def test_ids_of_the_published_program(word, ids):
    assert character_ids(tf.constant(word)).numpy().tolist() == padded(*ids)


def test_boundaries_of_the_published_program():
    assert boundary_row(BEGIN_SENTENCE) == padded(259, 257, 260)
    assert boundary_row(END_SENTENCE) == padded(259, 258, 260)


@pytest.mark.parametrize("word", ["x" * 48, "x" * 49, "x" * 10_000, "猫" * 17, "😀" * 13, "é" * 30])
def test_long_words_are_cut_after_48_bytes(word):
    """Also inside a character of several bytes."""
    ids = character_ids(tf.constant(word)).numpy()
    kept = word.encode("utf-8")[:48]
    assert ids.tolist() == [259, *[byte + 1 for byte in kept], *padded(260, length=49 - len(kept))]


def test_any_shape_and_no_word():
    tokens = tf.constant([[["a", ""], ["bc", "d"]]])
    ids = tf.function(character_ids)(tokens, max_characters=4).numpy()
    assert ids.shape == (1, 2, 2, 4) and ids.dtype == np.int32
    assert ids[0].tolist() == [
        [[259, 98, 260, 261], [0, 0, 0, 0]],
        [[259, 99, 100, 260], [259, 101, 260, 261]],
    ]
    assert character_ids(tf.constant([], tf.string)).shape == (0, 50)
