"""ELMo's pre-training."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from polysemy.zoo.elmo.backbone import Elmo
from polysemy.zoo.elmo.lm import ElmoLM

VOCABULARY = ["<S>", "</S>", "<UNK>", "the", "a", "cat", "dog", "sat", "ran"]
SENTENCES = ["the cat sat", "a dog", "the horse ran a"]


@pytest.fixture
def make_lm(make_elmo):
    """Makes an `ElmoLM` with weights that are not those of the start: `make_lm(**arguments)`."""

    def make(backbone=None, **arguments):
        model = ElmoLM(make_elmo(**(backbone or {})), VOCABULARY, **arguments)
        generator = np.random.default_rng(5)
        for weight in model.lm_head.weights:
            weight.assign(generator.normal(size=weight.shape))
        return model

    return make


def cross_entropy(model, top, targets):
    """-log softmax(top E^T + b)[target] in float64: (..., P), (...) -> (...)."""
    kernel, bias = (w.numpy().astype("float64") for w in model.lm_head.weights)
    logits = top.astype("float64") @ kernel.T + bias
    log_sum = np.log(np.exp(logits).sum(axis=-1))
    return log_sum - np.take_along_axis(logits, targets[..., None], axis=-1)[..., 0]


def test_losses_are_those_of_the_representations(make_lm, arrays):
    """What predicts a word is the biLM's own top layer at its neighbor."""
    model = make_lm()
    elmo = model.backbone
    outputs = arrays(model(model.preprocessor(SENTENCES)))
    layers = arrays(elmo(elmo.preprocessor(SENTENCES)))["layer_outputs"]
    forward, backward = np.split(layers[:, -1], 2, axis=-1)  # (B, L, P) each
    for row, sentence in enumerate(SENTENCES):
        words = sentence.split()
        ids = [VOCABULARY.index(word) if word in VOCABULARY else 2 for word in words]
        length = len(words)
        expected = cross_entropy(model, forward[row, :length], np.array([*ids[1:], 1]))
        np.testing.assert_allclose(
            outputs["forward_loss"][row, 1 : length + 1], expected, atol=1e-5
        )
        expected = cross_entropy(model, backward[row, :length], np.array([0, *ids[:-1]]))
        np.testing.assert_allclose(
            outputs["backward_loss"][row, 1 : length + 1], expected[::-1], atol=1e-5
        )


def test_positions_without_target_count_nothing(make_lm, arrays):
    model = make_lm()
    inputs = model.preprocessor(SENTENCES)
    outputs = model(inputs)
    losses = arrays(outputs)
    missing = inputs["targets"].numpy() < 0
    assert missing.any() and not losses["forward_loss"][missing].any()
    both = losses["forward_loss"][~missing], losses["backward_loss"][~missing]
    loss = model.compute_loss(x=inputs, y_pred=outputs)
    np.testing.assert_allclose(loss, np.mean(both), rtol=1e-6)
    weights = np.eye(len(missing))[0]
    of_first = model.compute_loss(x=inputs, y_pred=outputs, sample_weight=weights)
    first = [losses[name][0].sum() for name in ("forward_loss", "backward_loss")]
    np.testing.assert_allclose(of_first, np.mean(first) / np.sum(~missing), rtol=1e-6)
    nothing = {**inputs, "targets": inputs["targets"] * 0 - 1}
    nothing["reverse_targets"] = nothing["targets"]
    assert model.compute_loss(x=nothing, y_pred=model(nothing)) == 0


def test_two_batches_are_one_long_run(make_lm, arrays):
    """The state is carried from the end of the one to the beginning of the other."""
    words = np.array([["<S>", "the", "cat", "sat", "</S>", "<S>", "a"], ["a", "cat"] * 3 + ["dog"]])
    model = make_lm(backbone={"stateful": True, "state_batch_size": 3})

    def losses(begin, end):
        pair = words[:, begin:end], words[:, begin + 1 : end + 1]
        return arrays(model(model.preprocessor.both(*pair, *(x[::-1] for x in pair))))

    whole = losses(0, 6)
    model.reset_states()
    parts = losses(0, 2), losses(2, 6)
    for name, expected in whole.items():
        joined = np.concatenate([part[name] for part in parts], axis=1)
        np.testing.assert_allclose(joined, expected, atol=1e-5)
    model.reset_states()
    assert np.abs(losses(2, 6)["forward_loss"] - parts[1]["forward_loss"]).max() > 1e-3


def test_loss_falls_and_the_mixes_stand_still(small_config):
    model = ElmoLM(Elmo(**small_config), VOCABULARY)
    mixes = [w.numpy() for w in model.backbone.mixes[0].weights]
    model.compile(optimizer=keras.optimizers.Adam(0.02))
    inputs = model.preprocessor(SENTENCES)
    data = tf.data.Dataset.from_tensors(inputs).repeat(10)
    before = model.evaluate(inputs, verbose=0)
    model.fit(
        data, shuffle=False, verbose=0
    )  # a gradient that is missing would warn, and warnings are errors
    assert model.evaluate(inputs, verbose=0) < before - 0.3
    for weight, value in zip(model.backbone.mixes[0].weights, mixes, strict=True):
        np.testing.assert_array_equal(weight, value)
        assert weight.trainable and any(weight is w for w in model.backbone.trainable_weights)


def test_every_trained_weight_gets_a_gradient(make_lm, without_gradient):
    model = make_lm()
    inputs = model.preprocessor(SENTENCES)

    def loss():
        return model.compute_loss(x=inputs, y_pred=model(inputs, training=True))

    assert without_gradient(loss, model.trainable_variables) == []
    held = {w.path for w in model.weights} - {w.path for w in model.trainable_weights}
    assert held == {"scalar_mix/weights", "scalar_mix/gamma"}


def test_sampled_softmax_is_for_training_alone(make_lm, arrays):
    full, sampled = make_lm(), make_lm(num_sampled=4)
    inputs = full.preprocessor(SENTENCES)
    expected = arrays(full(inputs))["forward_loss"]
    np.testing.assert_array_equal(arrays(sampled(inputs))["forward_loss"], expected)
    trained = arrays(sampled(inputs, training=True))["forward_loss"]
    assert np.isfinite(trained).all() and np.abs(trained - expected).max() > 1e-3


def test_keras_file(make_lm, arrays, tmp_path):
    model = make_lm(backbone={"stateful": True, "state_batch_size": 3}, num_sampled=4, dropout=0.1)
    model.save(tmp_path / "lm.keras")
    loaded = keras.models.load_model(tmp_path / "lm.keras")
    assert loaded.get_config() == model.get_config()
    inputs = model.preprocessor(SENTENCES)
    expected = arrays(model(inputs))
    for name, array in arrays(loaded(inputs)).items():
        np.testing.assert_array_equal(array, expected[name])


def test_weights_file_keeps_its_names(make_lm, tmp_path):
    """Files of weights outlive the code that wrote them: names are a promise."""
    import h5py

    make_lm().save_weights(tmp_path / "lm.weights.h5")
    names = []
    with h5py.File(tmp_path / "lm.weights.h5") as file:
        file.visititems(lambda name, item: names.append(name) if hasattr(item, "shape") else None)
    counts = {
        "backbone/layers/scalar_mix": 2,
        "layers/lm_head": 2,
        "layers/token_encoder/character_cnn": 7,
        "layers/token_encoder/highway": 8,
        "layers/token_encoder/projection": 2,
        **{f"layers/bidirectional_lm/{d}_{i}": 4 for d in ("forward", "backward") for i in (0, 1)},
    }
    assert set(names) == {f"{at}/vars/{i}" for at, count in counts.items() for i in range(count)}
