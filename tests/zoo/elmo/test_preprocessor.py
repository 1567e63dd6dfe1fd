"""Sentences to ELMo's inputs."""

import numpy as np
import pytest
import tensorflow as tf

from polysemy.zoo.elmo.lm_preprocessor import ElmoLMPreprocessor
from polysemy.zoo.elmo.preprocessor import ElmoPreprocessor

VOCABULARY = ["<S>", "</S>", "<UNK>", "a", "cat"]


def test_sentences_and_tokens_agree():
    preprocessor = ElmoPreprocessor()
    inputs = preprocessor(["The café", "a"])
    assert inputs["character_ids"].dtype == tf.int32 and inputs["padding_mask"].dtype == tf.bool
    assert inputs["padding_mask"].numpy().tolist() == [[True, True], [True, False]]
    assert inputs["character_ids"][0, 0, :6].numpy().tolist() == [259, 85, 105, 102, 260, 261]
    assert not inputs["character_ids"][1, 1].numpy().any()
    for tokens in ([["The", "café"], ["a"]], tf.constant([["The", "café"], ["a", ""]])):
        same = preprocessor.tokens(tokens)
        for name, tensor in inputs.items():
            np.testing.assert_array_equal(same[name], tensor)


def test_fixed_length_and_fewer_characters():
    preprocessor = ElmoPreprocessor(max_characters=5, sequence_length=3)
    inputs = tf.function(preprocessor)(tf.constant(["abcdefg b c d", "a"]))
    assert inputs["character_ids"].shape == (2, 3, 5)
    assert inputs["character_ids"][0, 0].numpy().tolist() == [259, 98, 99, 100, 260]
    again = ElmoPreprocessor.from_config(preprocessor.get_config())
    assert (again.max_characters, again.sequence_length) == (5, 3)
    with pytest.raises(ValueError, match="`max_characters` must be at least 3"):
        ElmoPreprocessor(max_characters=2)


def test_sentences_for_the_language_model():
    preprocessor = ElmoLMPreprocessor(VOCABULARY)
    inputs = {name: x.numpy() for name, x in preprocessor(["a dog cat", "cat", ""]).items()}
    assert inputs["targets"].tolist() == [[3, 2, 4, 1], [4, 1, -1, -1], [1, -1, -1, -1]]
    assert inputs["reverse_targets"].tolist() == [[4, 2, 3, 0], [4, 0, -1, -1], [0, -1, -1, -1]]
    begin, end = [259, 257, 260, 261], [259, 258, 260, 261]
    for row in range(3):
        assert inputs["character_ids"][row, 0, :4].tolist() == begin
        assert inputs["reverse_character_ids"][row, 0, :4].tolist() == end
    np.testing.assert_array_equal(
        inputs["character_ids"][0, 1:], inputs["reverse_character_ids"][0, :0:-1]
    )


def test_rows_for_the_language_model():
    preprocessor = ElmoLMPreprocessor(VOCABULARY, max_characters=8)
    rows = preprocessor.rows([["a", "</S>", "<S>", ""]], [["</S>", "", "cat", ""]])
    assert rows["targets"].numpy().tolist() == [[1, -1, 4, -1]]
    assert rows["character_ids"].numpy()[0, :, 1].tolist() == [98, 258, 257, 0]
    again = ElmoLMPreprocessor.from_config(preprocessor.get_config())
    assert again.vocabulary.words == VOCABULARY and again.max_characters == 8
