"""TF Hub's "Common SavedModel APIs for Text", on a stand-in for BERT and on ELMo."""

import importlib.util
import sys
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from polysemy import serving, zoo

SCRIPT = Path(__file__).with_name("toy_transformer.py")
TEXTS = ["the bank robbed .", "river"]


@pytest.fixture(scope="module")
def transformer(make_table):
    spec = importlib.util.spec_from_file_location("toy_transformer", SCRIPT)
    assert spec is not None and spec.loader is not None
    module: Any = importlib.util.module_from_spec(spec)
    sys.modules["toy_transformer"] = module
    spec.loader.exec_module(module)
    keras.utils.set_random_seed(3)
    return module.ToyTransformer(make_table("vocab.txt", module.PIECES, unknown=1))


@pytest.fixture(scope="module")
def paths(transformer, tmp_path_factory):
    """The encoder's export and its preprocessor's."""
    directory = tmp_path_factory.mktemp("transformer")
    return [
        serving.export(transformer, directory / call, call=call) for call in ("ids", "preprocessor")
    ]


@pytest.fixture(scope="module")
def loaded(paths):
    return tf.saved_model.load(paths[0])


def test_tokenize_gives_ragged_ids_and_the_special_tokens(loaded):
    tokenize = loaded.preprocessor.tokenize
    tokens = tokenize(tf.constant(TEXTS))
    assert tokens.dtype == tf.int32
    assert tokens.to_list() == [[[5], [7], [8, 9], [10]], [[6]]]
    special = {name: int(value) for name, value in tokenize.get_special_tokens_dict().items()}
    names = ["vocab_size", "padding_id", "start_of_sequence_id", "end_of_segment_id", "mask_id"]
    assert special == dict(zip(names, [11, 0, 2, 3, 4], strict=True))
    ids, starts, limits = loaded.preprocessor.tokenize_with_offsets(tf.constant(TEXTS))
    assert ids.to_list() == tokens.to_list() and starts.shape == limits.shape


@pytest.mark.parametrize("flat", [False, True])
def test_bert_pack_inputs_packs_one_or_two_segments(loaded, flat):
    tokens = loaded.preprocessor.tokenize(tf.constant(TEXTS))
    tokens = tokens.merge_dims(1, 2) if flat else tokens
    pack = loaded.preprocessor.bert_pack_inputs
    one = pack([tokens], seq_length=tf.constant(6))
    assert one["input_word_ids"].numpy().tolist() == [[2, 5, 7, 8, 9, 3], [2, 6, 3, 0, 0, 0]]
    assert one["input_mask"].numpy().tolist() == [[1] * 6, [1, 1, 1, 0, 0, 0]]
    two = pack([tokens, tokens], seq_length=7)
    assert two["input_word_ids"].numpy().tolist() == [[2, 5, 7, 3, 5, 7, 3], [2, 6, 3, 6, 3, 0, 0]]
    kinds = two["input_type_ids"].numpy().tolist()
    assert kinds == [[0, 0, 0, 0, 1, 1, 1], [0, 0, 0, 1, 1, 0, 0]]
    assert {tensor.dtype for tensor in two.values()} == {tf.int32}
    assert pack([tokens])["input_word_ids"].shape == (2, 128)


def test_encoder_takes_what_the_preprocessor_makes(loaded, transformer):
    features = loaded.preprocessor(tf.constant(TEXTS))
    assert set(features) == {"input_word_ids", "input_mask", "input_type_ids"}
    ours = transformer.preprocessor(tf.constant(TEXTS))
    direct = transformer(ours)
    for inputs in (features, ours):
        for part in (loaded, loaded.encoder):
            outputs = part(inputs)
            for name, value in direct.items():
                np.testing.assert_allclose(outputs[name], value, atol=1e-5)
            np.testing.assert_array_equal(outputs["default"], outputs["pooled_output"])
            assert len(outputs["encoder_outputs"]) == 2
            for k, output in enumerate(outputs["encoder_outputs"], start=1):
                np.testing.assert_allclose(output, direct["layer_outputs"][:, k], atol=1e-5)


def test_preprocessor_alone_is_an_export(paths, loaded, transformer):
    alone = tf.saved_model.load(paths[1])
    assert set(alone.signatures) == {"serving_default"} and not alone.variables
    assert [file.name for file in Path(paths[1], "assets").iterdir()] == ["vocab.txt"]
    for name, value in loaded.preprocessor(tf.constant(TEXTS)).items():
        np.testing.assert_array_equal(alone(tf.constant(TEXTS))[name], value)
        served = alone.signatures["serving_default"](sentences=tf.constant(TEXTS))
        np.testing.assert_array_equal(served[name], value)
    assert alone.tokenize(tf.constant(TEXTS)).to_list()[1] == [[6]]
    with pytest.raises(ValueError, match="must be 'ids' for a model without.*'preprocessor'"):
        inputs = keras.Input((3,))
        serving.export(keras.Model(inputs, inputs * 2), "nowhere", call="preprocessor")


@pytest.mark.filterwarnings("ignore")  # tensorflow-hub and tf_keras call what others deprecated
def test_code_written_for_tf_hubs_bert_works_unchanged(paths):
    import tensorflow_hub as hub
    import tf_keras

    encoder_path, preprocessor_path = paths
    preprocessor = hub.load(preprocessor_path)
    segments = [tf_keras.layers.Input((), dtype=tf.string) for _ in range(2)]
    tokenize = hub.KerasLayer(preprocessor.tokenize)
    pack = hub.KerasLayer(preprocessor.bert_pack_inputs, arguments={"seq_length": 9})
    encoder = hub.KerasLayer(encoder_path, trainable=True)
    outputs = encoder(pack([tokenize(segment) for segment in segments]))
    score = tf_keras.layers.Dense(1, "sigmoid")(outputs["pooled_output"])
    model: Any = tf_keras.Model(segments, score)
    model.compile(tf_keras.optimizers.Adam(0.05), "binary_crossentropy")
    before = [variable.numpy() for variable in encoder.trainable_variables]
    texts = [tf.constant(TEXTS * 4), tf.constant(["the bank", "the river ."] * 4)]
    losses = model.fit(texts, np.array([1.0, 0.0] * 4), epochs=15, verbose=0).history["loss"]
    assert losses[-1] < losses[0] / 2
    changed = [
        np.abs(a.numpy() - b).max() > 1e-3
        for a, b in zip(encoder.trainable_variables, before, strict=True)
    ]
    assert len(changed) == 8 and all(changed)


def test_hub_layer_reaches_parts_of_parts(paths):
    tokenize = serving.HubLayer(paths[0], part="preprocessor.tokenize")
    pack = serving.HubLayer(
        paths[0], part="preprocessor.bert_pack_inputs", arguments={"seq_length": 5}
    )
    packed = pack([tokenize(tf.constant(TEXTS))])
    assert packed["input_word_ids"].shape == (2, 5)
    assert pack.get_config()["arguments"] == {"seq_length": 5}
    with pytest.raises(ValueError, match=r"`arguments` must be of \['seq_length'\].*'length'"):
        serving.HubLayer(paths[1], part="bert_pack_inputs", arguments={"length": 5})
    with pytest.raises(ValueError, match="`part` must name a callable part.*'preprocessor.pack'"):
        serving.HubLayer(paths[0], part="preprocessor.pack")


def test_elmo_has_the_parts_of_tf_hubs_module(tmp_path):
    elmo = zoo.Elmo(
        filters=[[1, 4], [2, 4]],
        num_highway_layers=1,
        character_embedding_dim=4,
        max_characters=10,
        hidden_dim=6,
        projection_dim=4,
    )
    loaded = tf.saved_model.load(serving.export(elmo, tmp_path))
    names = {"word_emb", "lstm_outputs1", "lstm_outputs2", "elmo", "default"}
    sentence = loaded(tf.constant(["the river bank"]))
    tokens = tf.constant([["the", "river", "bank", "x"]])
    words = loaded.tokens({"tokens": tokens, "sequence_len": tf.constant([3])})
    features = loaded.preprocessor(tf.constant(["the river bank"]))
    encoded = loaded.encoder(features)
    assert names | {"sequence_output", "mask"} <= set(sentence) == set(words)
    for outputs in (words, encoded):
        np.testing.assert_allclose(outputs["default"], sentence["default"], atol=1e-5)
    np.testing.assert_allclose(words["elmo"][:, :3], sentence["elmo"], atol=1e-5)
    np.testing.assert_allclose(
        sentence["default"], np.mean(sentence["elmo"], axis=1), rtol=1e-4, atol=1e-6
    )
    tokens = loaded.preprocessor.tokenize(tf.constant(["the river"]))
    assert tokens.to_list() == [[b"the", b"river"]]
    assert not hasattr(loaded.preprocessor, "bert_pack_inputs")
    assert not hasattr(loaded.preprocessor.tokenize, "get_special_tokens_dict")


def test_bert_has_the_parts_of_tf_hubs_encoders(tmp_path):
    words = ["the", "river", "bank", "rob", "##bed", "."]
    bert = zoo.Bert(
        vocabulary=["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *words],
        num_layers=2,
        num_heads=2,
        hidden_dim=8,
    )
    loaded = tf.saved_model.load(serving.export(bert, tmp_path, call="ids"))
    preprocessor = loaded.preprocessor
    first = preprocessor.tokenize(tf.constant(["The bank robbed"]))
    assert first.to_list() == [[[5], [7], [8, 9]]]
    assert int(preprocessor.tokenize.get_special_tokens_dict()["mask_id"]) == 4
    ids, starts, limits = preprocessor.tokenize_with_offsets(tf.constant(["The bank robbed"]))
    assert ids.to_list() == first.to_list()
    assert (starts.to_list(), limits.to_list()) == ([[[0], [4], [9, 12]]], [[[3], [8], [12, 15]]])
    packed = preprocessor.bert_pack_inputs([first, first], seq_length=tf.constant(8))
    assert packed["input_word_ids"].numpy().tolist() == [[2, 5, 7, 8, 3, 5, 7, 3]]
    outputs = loaded(packed)
    assert [output.shape for output in outputs["encoder_outputs"]] == [(1, 8, 8)] * 2
    np.testing.assert_allclose(outputs["encoder_outputs"][-1], outputs["sequence_output"])
    direct = bert(bert.preprocessor(["the river"], ["the bank ."]))
    pair = [preprocessor.tokenize(tf.constant([text])) for text in ("the river", "the bank .")]
    outputs = loaded.encoder(preprocessor.bert_pack_inputs(pair, seq_length=8))
    for name, value in direct.items():
        np.testing.assert_allclose(outputs[name], value, atol=1e-5)
    np.testing.assert_array_equal(outputs["default"], outputs["pooled_output"])
