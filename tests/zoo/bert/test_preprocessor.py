"""Text, pairs and words to BERT's inputs."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from polysemy.zoo.bert.preprocessor import BertPreprocessor


@pytest.fixture
def make(vocabulary):
    return lambda **arguments: BertPreprocessor(vocabulary, **{"max_length": 40, **arguments})


def pieces_of(preprocessor, inputs):
    mask = inputs["padding_mask"].numpy()
    return [
        [preprocessor.vocabulary[i] for i in row[used]]
        for row, used in zip(inputs["token_ids"].numpy(), mask, strict=True)
    ]


def test_texts_and_pairs(make):
    preprocessor = make()
    inputs = preprocessor(["The cats", "", "[MASK]."], ["sat", "", "unaffable"])
    assert pieces_of(preprocessor, inputs) == [
        ["[CLS]", "the", "cat", "##s", "[SEP]", "sat", "[SEP]"],
        ["[CLS]", "[SEP]", "[SEP]"],
        ["[CLS]", "[MASK]", ".", "[SEP]", "un", "##aff", "##able", "[SEP]"],
    ]
    assert inputs["segment_ids"].numpy().tolist() == [
        [0, 0, 0, 0, 0, 1, 1, 0],
        [0, 0, 1, 0, 0, 0, 0, 0],
        [0, 0, 0, 0, 1, 1, 1, 1],
    ]
    assert {name: x.dtype.name for name, x in inputs.items()} == {
        "token_ids": "int32",
        "segment_ids": "int32",
        "padding_mask": "bool",
    }
    alone = preprocessor(["", "the"])
    assert pieces_of(preprocessor, alone) == [["[CLS]", "[SEP]"], ["[CLS]", "the", "[SEP]"]]


def test_what_is_too_long_is_cut(make):
    preprocessor = make(max_length=9)
    found = pieces_of(preprocessor, preprocessor(["the cat " * 9, "the"], ["sat " * 9, "on " * 9]))
    assert found[0] == ["[CLS]", "the", "cat", "the", "[SEP]", "sat", "sat", "sat", "[SEP]"]
    assert found[1] == ["[CLS]", "the", "[SEP]", *["on"] * 5, "[SEP]"]
    (single,) = pieces_of(preprocessor, preprocessor(["the " * 99]))
    assert single == ["[CLS]", *["the"] * 7, "[SEP]"]


def test_fixed_length(make):
    inputs = make(sequence_length=6)(["the", "the cat sat on the mat"])
    assert inputs["token_ids"].shape == (2, 6)
    assert inputs["padding_mask"].numpy().sum(axis=1).tolist() == [3, 6]


def test_words(make):
    preprocessor = make()
    words = [["unaffable", "\u200b", "Cats", "mat"], ["the"], []]
    inputs = preprocessor.tokens(words)
    assert pieces_of(preprocessor, inputs) == [
        ["[CLS]", "un", "##aff", "##able", "[UNK]", "cat", "##s", "mat", "[SEP]"],
        ["[CLS]", "the", "[SEP]"],
        ["[CLS]", "[SEP]"],
    ]
    assert inputs["word_positions"].numpy().tolist() == [[1, 4, 5, 7], [1, 0, 0, 0], [0] * 4]
    dense = preprocessor.tokens(
        tf.constant([["unaffable", "", "Cats", "mat", ""], ["the"] + [""] * 4])
    )
    assert dense["word_positions"].numpy().tolist() == [[1, 4, 5, 7, 0], [1, 0, 0, 0, 0]]


def test_words_that_are_cut_off(make):
    inputs = make(sequence_length=5).tokens([["unaffable", "cats"], ["cats", "unaffable"]])
    assert inputs["word_positions"].numpy().tolist() == [[1, 0], [1, 3]]


def test_in_a_graph(make):
    preprocessor = make()
    texts = tf.constant(["the cat", "unaffable mats, who?"])
    signature = [tf.TensorSpec([None], tf.string)]
    function = tf.function(preprocessor, input_signature=signature, autograph=False)
    for name, value in function(texts).items():
        np.testing.assert_array_equal(value, preprocessor(texts)[name])
    dataset = tf.data.Dataset.from_tensor_slices([["the", "cat"]]).batch(1).map(preprocessor.tokens)
    (inputs,) = dataset
    assert inputs["word_positions"].numpy().tolist() == [[1, 2]]


def test_hub_hooks(make):
    preprocessor = make()
    assert preprocessor.special_tokens() == {
        "vocab_size": len(preprocessor.vocabulary),
        "padding_id": 0,
        "unknown_id": 1,
        "start_of_sequence_id": 2,
        "end_of_segment_id": 3,
        "mask_id": 4,
    }
    segments = [preprocessor.tokenize_ids(["the cats"]), preprocessor.tokenize_ids(["mat"])]
    assert segments[0].to_list() == [[[5], [6, 10]]]
    packed = preprocessor.pack(segments, tf.constant(9))
    for name, value in preprocessor(["the cats"], ["mat"]).items():
        np.testing.assert_array_equal(packed[name][:, :7], value)
    assert packed["token_ids"].shape[1] == 9
    ids, starts, ends = preprocessor.tokenize_with_offsets(["the cats"])
    assert (starts.to_list(), ends.to_list()) == ([[[0], [4, 7]]], [[[3], [7, 8]]])
    assert ids.to_list() == segments[0].to_list()


def test_round_trip(make):
    preprocessor = make(lowercase=False, sequence_length=7)
    again = BertPreprocessor.from_config(preprocessor.get_config())
    assert again.get_config() == preprocessor.get_config()
    config = keras.saving.serialize_keras_object(preprocessor)
    assert keras.saving.deserialize_keras_object(config).sequence_length == 7


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"sequence_length": 2}, "`sequence_length` must be at least 3"),
        ({"sequence_length": 41}, "at most `max_length`. Received: sequence_length=41"),
        ({"sequence_length": 0}, "`sequence_length` must be at least 1"),
        ({"max_length": 2}, "`max_length` must be at least 3"),
    ],
)
def test_errors(arguments, message, make):
    with pytest.raises(ValueError, match=message):
        make(**arguments)


def test_wrong_input(make):
    preprocessor = make()
    with pytest.raises(ValueError, match="`sentences` must be a batch.*sentences='the cat'"):
        preprocessor("the cat")
    with pytest.raises(ValueError, match="`pairs` must be a batch"):
        preprocessor(["the cat"], "the")
    with pytest.raises(ValueError, match="`sentences` must have rank 1"):
        preprocessor([["the"]])
    with pytest.raises(ValueError, match="`tokens` must have rank 2"):
        preprocessor.tokens(tf.constant(["the"]))
    with pytest.raises(ValueError, match=r"`tokens` must be a list of sentences.*\['the'\]"):
        preprocessor.tokens(["the"])
    with pytest.raises(ValueError, match="`segments` must be one or two. Received: 3"):
        preprocessor.pack([preprocessor.tokenize_ids(["the"])] * 3)


def test_texts_and_pairs_are_equally_many(make):
    preprocessor = make()
    rule = "`sentences` and `pairs` must be equally many, one of each. Received: "
    for pairs in (["one"], ["one", "two", "three"], []):
        with pytest.raises(ValueError, match=f"{rule}2 sentences, {len(pairs)} pairs"):
            preprocessor(["the", "cat"], pairs)
    free = tf.TensorSpec([None], tf.string)
    function = tf.function(preprocessor, input_signature=[free, free], autograph=False)
    texts = tf.constant(["the", "cat"])
    assert function(texts, texts)["token_ids"].shape == (2, 5)
    with pytest.raises(tf.errors.InvalidArgumentError, match=f"{rule}sentences, pairs.*2.*1"):
        function(texts, texts[:1])


def test_no_texts(make):
    """As wide as the special pieces: what reads [CLS] finds a position there."""
    for preprocessor, wide, widest in ((make(), 2, 3), (make(sequence_length=7), 7, 7)):
        none = tf.zeros([0], tf.string)
        for texts in ([], none):
            assert {x.shape for x in preprocessor(texts).values()} == {(0, wide)}
            assert {x.shape for x in preprocessor(texts, texts).values()} == {(0, widest)}
        assert preprocessor.tokens([])["token_ids"].shape == (0, wide)
