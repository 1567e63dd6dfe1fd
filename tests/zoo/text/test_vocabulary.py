"""Words to ids and back."""

import gc
from pathlib import Path

import pytest
import tensorflow as tf

from polysemy.zoo.text.vocabulary import Vocabulary

WORDS = ["<unk>", "a", "café", "#", "two words", "猫"]


def test_ids_and_words():
    vocabulary = Vocabulary(WORDS, unknown="<unk>")
    assert len(vocabulary) == 6
    tokens = tf.constant([["猫", "two words", "A"], ["#", "", "a"]])
    ids = vocabulary(tokens)
    assert ids.dtype == tf.int32 and ids.numpy().tolist() == [[5, 4, 0], [3, 0, 1]]
    words = vocabulary.words_of(ids).numpy()[0]
    assert [word.decode() for word in words] == ["猫", "two words", "<unk>"]


@pytest.mark.parametrize("words", [["<unk>", ""], ["<unk>", "a\nb"], ["<unk>", "a", "a"], ["\r"]])
def test_words_that_a_list_cannot_hold(words):
    with pytest.raises(ValueError, match="`words` must be distinct, not empty and without line"):
        Vocabulary(words, unknown="<unk>")


def test_unknown_word_must_be_listed():
    with pytest.raises(ValueError, match="`unknown` must be one of `words`. Received: unknown='x'"):
        Vocabulary(WORDS, unknown="x")


def test_list_travels_with_a_saved_model(tmp_path):
    class Module(tf.Module):
        def __init__(self):
            super().__init__()
            self.vocabulary = Vocabulary(WORDS, unknown="<unk>")

        @tf.function(input_signature=[tf.TensorSpec((None,), tf.string)])
        def ids(self, tokens):
            return self.vocabulary(tokens)

    module = Module()
    first, second = str(tmp_path / "first"), str(tmp_path / "second")
    tf.saved_model.save(module, first)
    del module
    gc.collect()
    tf.saved_model.save(tf.saved_model.load(first), second)  # and is taken along again
    loaded = tf.saved_model.load(second)
    assert loaded.ids(tf.constant(["猫", "dog"])).numpy().tolist() == [5, 0]
    (asset,) = (Path(second) / "assets").iterdir()
    assert asset.read_text(encoding="utf-8").split("\n") == [*WORDS, ""]
