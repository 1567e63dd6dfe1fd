"""ELMo's graph: sizes, masks, directions, states, saving, precision and the JAX backend."""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf

from polysemy.zoo.elmo.backbone import Elmo

SENTENCES = ["the cat sat on a mat", "hello", "the cat"]


def run(elmo, sentences, arrays):
    return arrays(elmo(elmo.preprocessor(sentences)))


@pytest.mark.parametrize(
    "size, weights", [("original", 93_600_848), ("medium", 28_027_728), ("small", 13_593_296)]
)
def test_published_sizes(size, weights):
    with keras.StatelessScope():  # the shapes alone: no memory is taken
        elmo = Elmo.from_size(size)
        parts = (*elmo.token_encoder.weights, *elmo.bidirectional_lm.weights)
    assert sum(np.prod(v.shape, dtype=int) for v in parts) == weights


def test_outputs(make_elmo, arrays):
    elmo = make_elmo(num_mixes=2)
    outputs = run(elmo, SENTENCES, arrays)
    shapes = {name: array.shape for name, array in outputs.items()}
    assert shapes == {
        "token_output": (3, 6, 5),
        "layer_outputs": (3, 3, 6, 10),
        "sequence_output": (3, 6, 10),
        "sequence_output_1": (3, 6, 10),
    }
    layers = outputs["layer_outputs"]
    np.testing.assert_array_equal(layers[:, 0], np.tile(outputs["token_output"], 2))
    for i, name in enumerate(("sequence_output", "sequence_output_1")):
        weights, gamma = (w.numpy() for w in elmo.mixes[i].weights)
        weights = np.exp(weights) / np.exp(weights).sum()
        mixed = gamma * np.einsum("k,bkld->bld", weights, layers)
        np.testing.assert_allclose(outputs[name], mixed, atol=1e-6)


def test_padding_changes_nothing(make_elmo, arrays):
    elmo = make_elmo()
    together = run(elmo, SENTENCES, arrays)
    for row, sentence in enumerate(SENTENCES):
        length = len(sentence.split())
        alone = run(elmo, [sentence], arrays)
        for name, axis in (("token_output", 0), ("layer_outputs", 1), ("sequence_output", 0)):
            tokens, padding = np.split(together[name][row], [length], axis=axis)
            np.testing.assert_allclose(tokens, alone[name][0], atol=1e-6)
            assert not padding.any()


def test_each_direction_sees_its_side_only(make_elmo, arrays):
    elmo = make_elmo()
    one = run(elmo, ["a b c d e"], arrays)["layer_outputs"][0, 1:]  # (2, L, 2P)
    other = run(elmo, ["a b X d e"], arrays)["layer_outputs"][0, 1:]
    changed = np.abs(one - other).reshape(2, 5, 2, 5).max(axis=-1) > 1e-6  # layer, token, direction
    assert changed[:, :, 0].tolist() == [[False, False, True, True, True]] * 2
    assert changed[:, :, 1].tolist() == [[True, True, True, False, False]] * 2


def test_a_word_in_two_sentences(make_elmo, arrays):
    """Equal without context, different within."""
    layers = run(make_elmo(), ["the river bank", "the bank teller"], arrays)["layer_outputs"]
    np.testing.assert_array_equal(layers[0, 0, 2], layers[1, 0, 1])
    assert np.abs(layers[0, 1:, 2] - layers[1, 1:, 1]).max() > 1e-2
    assert np.abs(layers[:, 0, 0] - layers[:, 0, 1]).max() > 1e-2


@pytest.mark.parametrize(
    "sentences",
    [
        [],
        [""],
        ["   ", "\t\n"],
        ["x" * 10_000],
        ["word " * 5_000],
        [b"\xff\xfe\x80 ok", b"\xc3"],
        ["😀 👩‍👩‍👧‍👦", "他喜欢猫", "猫" * 100],
    ],
    ids=["empty batch", "empty", "spaces", "long word", "long sentence", "no UTF-8", "emoji, CJK"],
)
def test_unusual_text(sentences, make_elmo, arrays):
    elmo = make_elmo()
    inputs = elmo.preprocessor(sentences)
    outputs = arrays(tf.function(elmo)(inputs))
    mask = inputs["padding_mask"].numpy()
    assert len(outputs["sequence_output"]) == len(sentences)
    assert mask.sum() == sum(len(sentence.split()) for sentence in sentences)
    for array in outputs.values():
        assert np.isfinite(array).all()
    assert not outputs["sequence_output"][~mask].any()
    assert np.abs(outputs["sequence_output"][mask]).min(initial=1.0) > 0


def test_equal_sentences_get_equal_vectors(make_elmo, arrays):
    elmo = make_elmo()
    first = run(elmo, SENTENCES, arrays)["layer_outputs"]
    np.testing.assert_array_equal(first, run(elmo, SENTENCES, arrays)["layer_outputs"])
    elmo.reset_states()  # nothing to forget
    assert elmo.transient_variables == []


def test_states(make_elmo, arrays):
    elmo = make_elmo(stateful=True, state_batch_size=3)
    first, second = (run(elmo, SENTENCES, arrays)["layer_outputs"] for _ in range(2))
    np.testing.assert_array_equal(first[:, 0], second[:, 0])
    assert np.abs(first[:, 1:] - second[:, 1:]).max() > 1e-3
    elmo.reset_states()
    np.testing.assert_array_equal(first, run(elmo, SENTENCES, arrays)["layer_outputs"])
    with pytest.raises(ValueError, match="must not have more rows than `state_batch_size`"):
        elmo(elmo.preprocessor(["a"] * 4))
    with pytest.raises(ValueError, match="`state_batch_size` must be a positive integer"):
        make_elmo(stateful=True)


def test_keras_file_and_config(make_elmo, arrays, tmp_path):
    elmo = make_elmo(num_mixes=2, dropout=0.1, mix_l2=0.01, residual=False, cell_clip=None)
    elmo.save(tmp_path / "elmo.keras")
    loaded = keras.models.load_model(tmp_path / "elmo.keras")
    expected = run(elmo, SENTENCES, arrays)
    for name, array in run(loaded, SENTENCES, arrays).items():
        np.testing.assert_array_equal(array, expected[name])
    config = json.loads(json.dumps(elmo.get_config()))
    assert Elmo.from_config(config).get_config() == elmo.get_config() == loaded.get_config()


def test_mixed_precision(make_elmo, arrays):
    expected = run(make_elmo(), SENTENCES, arrays)["sequence_output"]
    elmo = make_elmo(dtype="mixed_bfloat16", stateful=True, state_batch_size=3)
    outputs = elmo(elmo.preprocessor(SENTENCES))
    assert {x.dtype.name for x in outputs.values()} == {"bfloat16"}
    assert {v.dtype for v in elmo.weights} == {"float32"}
    outputs = np.array(outputs["sequence_output"], dtype="float32")
    assert np.abs(outputs - expected).max() < 0.03 * np.abs(expected).max()
    again = Elmo.from_config(elmo.get_config())
    assert again.bidirectional_lm.compute_dtype == "bfloat16"


def test_hub_names(make_elmo, arrays):
    elmo = make_elmo()
    inputs = elmo.preprocessor([*SENTENCES, ""])
    outputs = elmo(inputs)
    named = arrays(elmo.serving_outputs(outputs, inputs))
    outputs = arrays(outputs)
    np.testing.assert_array_equal(named["word_emb"], outputs["token_output"])
    np.testing.assert_array_equal(named["lstm_outputs2"], outputs["layer_outputs"][:, 2])
    np.testing.assert_array_equal(named["elmo"], outputs["sequence_output"])
    means = [named["elmo"][row, :length].mean(axis=0) for row, length in enumerate((6, 1, 2))]
    np.testing.assert_allclose(named["default"], [*means, np.zeros(10)], atol=1e-6)


def test_every_weight_gets_a_gradient(make_elmo, without_gradient):
    elmo = make_elmo()
    inputs = elmo.preprocessor(SENTENCES)

    def loss():
        return tf.reduce_sum(elmo(inputs, training=True)["sequence_output"] ** 2)

    assert without_gradient(loss, elmo.trainable_weights) == []


def test_unknown_size():
    with pytest.raises(ValueError, match="`size` must be one of .*'tiny'.* size='huge'"):
        Elmo.from_size("huge")
