"""What every preprocessor does with its sentences."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from polysemy.zoo.preprocessor import Preprocessor


class Lengths(Preprocessor):
    """Encodes each word by its length."""

    def encode(self, tokens):
        return {"token_ids": tf.strings.length(tokens)}


def encoded(inputs):
    return inputs["token_ids"].numpy().tolist(), inputs["padding_mask"].numpy().tolist()


def test_the_symbol_of_an_input_is_no_text():
    with pytest.raises(ValueError, match="`sentences` must be texts, not the symbol of an input"):
        Lengths()(keras.Input((), dtype="string"))


def test_sentences():
    ids, mask = encoded(Lengths()(["a  bb", "", "\tccc\n", "  "]))
    assert ids == [[1, 2], [0, 0], [3, 0], [0, 0]]
    assert mask == [[True, True], [False, False], [True, False], [False, False]]
    words = Lengths().tokenize(["a  bb", ""])
    assert words.to_list() == [[b"a", b"bb"], []]


@pytest.mark.parametrize(
    "tokens",
    [
        [["a", "bb"], ["ccc"]],
        tf.ragged.constant([["a", "bb"], ["ccc"]]),
        tf.constant([["a", "bb"], ["ccc", ""]]),
        np.array([["a", "bb"], ["ccc", ""]]),
    ],
    ids=["lists", "ragged", "dense", "numpy"],
)
def test_tokens(tokens):
    expected = [[1, 2], [3, 0]], [[True, True], [True, False]]
    assert encoded(Lengths().tokens(tokens)) == expected
    fixed = Lengths(sequence_length=3).tokens(tokens)
    assert encoded(fixed)[0] == [[1, 2, 0], [3, 0, 0]] and fixed["token_ids"].shape == (2, 3)
    assert encoded(Lengths(sequence_length=1).tokens(tokens)) == ([[1], [3]], [[True], [True]])


def test_no_sentence_and_no_word():
    for nothing in (Lengths()([]), Lengths().tokens([])):
        assert nothing["token_ids"].shape == nothing["padding_mask"].shape == (0, 1)
    assert encoded(Lengths().tokens([[], []])) == ([[0], [0]], [[False], [False]])


def test_an_empty_word_between_words_is_no_padding():
    _, mask = encoded(Lengths().tokens([["a", "", "b", ""], ["", "", "", ""]]))
    assert mask == [[True, True, True, False], [False] * 4]


def test_graph_with_unknown_sizes():
    traced = tf.function(
        Lengths(sequence_length=4), input_signature=[tf.TensorSpec([None], tf.string)]
    )
    assert encoded(traced(tf.constant(["a bb"])))[0] == [[1, 2, 0, 0]]
    assert traced.get_concrete_function().structured_outputs["token_ids"].shape[1] == 4


def test_errors():
    with pytest.raises(ValueError, match="`sequence_length` must be at least 1"):
        Lengths(sequence_length=0)
    with pytest.raises(ValueError, match="`sentences` must be a batch.* sentences='a b'"):
        Lengths()("a b")
    with pytest.raises(ValueError, match=r"`sentences` must have rank 1.*shape=\(1, 1\)"):
        Lengths()([["a"]])
    with pytest.raises(ValueError, match=r"`tokens` must have rank 2.*shape=\(1,\)"):
        Lengths().tokens(tf.constant(["a"]))
    for wrong in ([1, 2], None, [None], ["a", 2]):
        with pytest.raises(ValueError, match="`sentences` must hold strings. Received: sentences="):
            Lengths()(wrong)
    with pytest.raises(ValueError, match=r"`tokens` must be a list of sentences.*\['a', 'b'\]"):
        Lengths().tokens(["a", "b"])
    with pytest.raises(ValueError, match=r"`tokens` must hold strings. Received: tokens=\[\[1"):
        Lengths().tokens([[1, 2], [3]])
    with pytest.raises(ValueError, match="`tokens` must be a list of sentences.*'a b'"):
        Lengths().tokens("a b")
    with pytest.raises(NotImplementedError, match="Preprocessor must implement `encode`"):
        Preprocessor()(["a"])


def test_config():
    preprocessor = Lengths.from_config(Lengths(sequence_length=7).get_config())
    assert preprocessor.sequence_length == 7
