import functools

import numpy as np
import pytest
import tensorflow as tf

from polysemy.zoo import GPT2, Tagger
from polysemy.zoo.gpt2.preprocessor import GPT2Preprocessor


@pytest.fixture(scope="module")
def make(files):
    """Makes one with these arguments, once for the module: each is traced at its first text."""

    @functools.cache
    def made(**arguments):
        return GPT2Preprocessor(files.VOCABULARY, files.MERGES, **arguments)

    return made


def test_text_is_padded_behind_its_end(make):
    found = make()(["the the", "a", ""])
    assert found["padding_mask"].numpy().tolist() == [
        [True, True, True],
        [True, False, False],
        [False, False, False],
    ]
    assert (found["token_ids"].numpy()[~found["padding_mask"].numpy()] == 266).all()
    fixed = make(sequence_length=2)(["the the", "a"])
    np.testing.assert_array_equal(fixed["token_ids"], found["token_ids"][:2, :2])
    assert make(sequence_length=5)(["a"])["padding_mask"].shape == (1, 5)
    assert make()([""])["token_ids"].shape == (1, 1)


def test_a_text_is_cut_to_the_positions_of_the_model(make, files):
    whole, cut = (make(max_length=length)(["the the the", "a"]) for length in (None, 3))
    assert whole["token_ids"].shape == (2, 4)
    np.testing.assert_array_equal(cut["token_ids"], whole["token_ids"][:, :3])
    np.testing.assert_array_equal(cut["padding_mask"], whole["padding_mask"][:, :3])
    assert make(max_length=3)(["a"])["token_ids"].shape == (1, 1)
    words = [["the", "the", "the"]]
    assert make(max_length=3).tokens(words)["token_ids"].shape == (1, 3)
    assert make(max_length=3).get_config()["max_length"] == 3
    assert make(max_length=3).prompts(["the the the"]).shape[0] == 1
    backbone = GPT2(
        files.VOCABULARY, files.MERGES, num_layers=1, num_heads=1, hidden_dim=8, max_length=4
    )
    assert backbone(backbone.preprocessor(["x" * 50]))["sequence_output"].shape == (1, 4, 8)
    with pytest.raises(ValueError, match="`max_length` must be .* max_length=2, sequence_length=3"):
        make(max_length=2, sequence_length=3)


def test_tokens_can_be_read(make):
    pieces = make().tokenize(["hell on", ""])
    assert [[t.decode() for t in row] for row in pieces.to_list()] == [["he", "ll", "Ġ", "on"], []]


def test_words_are_joined_and_found_again(make, files):
    words = [["hell", "the", "x1"], ["a"]]
    found = make().tokens(words)
    text = make()(["hell the x1", "a"])
    np.testing.assert_array_equal(found["token_ids"], text["token_ids"])
    np.testing.assert_array_equal(found["padding_mask"], text["padding_mask"])
    # he ll | Ġthe | Ġ x 1
    assert found["word_positions"].numpy().tolist() == [[1, 2, 5], [0, 0, 0]]
    dense = make().tokens(tf.constant([["hell", "the", "x1"], ["a", "", ""]]))
    np.testing.assert_array_equal(dense["word_positions"], found["word_positions"])
    cut = make(sequence_length=2).tokens(words)
    assert cut["word_positions"].numpy().tolist() == [[1, 1, 1], [0, 0, 0]]


def test_a_tagger_reads_it(files):
    backbone = GPT2(files.VOCABULARY, files.MERGES, num_layers=1, num_heads=1, hidden_dim=8)
    tagger = Tagger(backbone, tags=["O", "X"], num_layers=1, hidden_dim=4, character_filters=None)
    assert tagger(tagger.preprocessor.tokens([["hell", "the"]]))["tag_ids"].shape == (1, 2)


def test_an_empty_prompt_begins_a_document(make):
    prompts = make().prompts(tf.constant(["", "a"]))
    assert prompts.to_list() == [[266], [make().vocabulary.index("a")]]
    without_end = GPT2Preprocessor(make().vocabulary[:-1], make().merges)
    assert without_end.end_id is None
    assert without_end.prompts(tf.constant(["", "a"])).row_lengths().numpy().tolist() == [0, 1]


def test_one_text_is_no_batch(make):
    with pytest.raises(ValueError, match="`sentences` must be a batch"):
        make()("the")
