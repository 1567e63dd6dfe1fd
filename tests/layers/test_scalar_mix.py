import numpy as np
import pytest

from polysemy.layers.scalar_mix import ScalarMix

MASK = np.array([[1, 1, 1, 1, 0], [1, 0, 0, 0, 0], [1, 1, 1, 1, 1]], bool)


def random_layers(num_layers=3):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(3, num_layers, 5, 4)) * np.arange(1, num_layers + 1)[:, None, None] + 2
    return x.astype("float32")


def softmax(w):
    return np.exp(w) / np.exp(w).sum()


def formula(layer, x, mask):
    w, gamma = (np.asarray(x, "float64") for x in layer.get_weights())
    mixed = 0
    for k, weight in enumerate(softmax(w)):
        h = x[:, k].astype("float64")  # (B, L, D)
        if layer.normalize:
            tokens = h[mask]  # all positions and features of the batch together
            h = (h - tokens.mean()) / tokens.std()
        mixed = mixed + gamma * weight * h
    return mixed * mask[:, :, None]


@pytest.mark.parametrize("normalize", [False, True])
def test_layer(check_layer, normalize):
    check_layer(
        ScalarMix,
        {"num_tensors": 3, "normalize": normalize, "l2": 0.1},
        {"inputs": random_layers(), "padding_mask": MASK},
        (3, 5, 4),
        num_weights=2,
        length_axis=2,
    )


@pytest.mark.parametrize("normalize", [False, True])
@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("num_layers", [1, 3])
def test_formula(randomize, normalize, masked, num_layers):
    x = random_layers(num_layers)
    mask = MASK if masked else np.ones_like(MASK)
    layer = ScalarMix(num_layers, normalize=normalize)
    layer.build(x.shape)
    randomize(layer, scale=1.0)
    found = layer(x, padding_mask=mask) if masked else layer(x)
    np.testing.assert_allclose(found, formula(layer, x, mask), atol=2e-6)
    np.testing.assert_allclose(layer.layer_weights(), softmax(layer.get_weights()[0]), atol=1e-6)


def test_starts_as_the_average():
    x = random_layers()
    np.testing.assert_allclose(ScalarMix(3)(x), x.mean(axis=1), atol=1e-6)


def test_batch_of_padding_alone():
    out = ScalarMix(3, normalize=True)(random_layers(), padding_mask=np.zeros_like(MASK))
    np.testing.assert_array_equal(out, 0)
    assert ScalarMix(3, normalize=True)(random_layers()[:0]).shape == (0, 5, 4)


def test_penalty_is_on_the_weights_of_layers_alone():
    layer = ScalarMix(3, l2=0.5)
    layer.build((None, 3, None, 4))
    layer.set_weights([np.array([1.0, -2.0, 3.0]), np.array(7.0)])
    assert [float(x) for x in layer.losses] == [pytest.approx(0.5 * 14)]
    assert not ScalarMix(3, l2=0.0).losses


def test_fixed_mix_has_nothing_to_train():
    layer = ScalarMix(3, l2=0.5, trainable_mix=False)
    layer(random_layers())
    assert (len(layer.trainable_weights), len(layer.weights), layer.losses) == (0, 2, [])


def test_whole_layers_are_dropped():
    layer = ScalarMix(3, dropout=0.3, seed=3)
    layer.build((None, 3, None, 4))
    w = np.array([0.5, -1.0, 1.0])
    layer.set_weights([w, np.array(1.0)])
    draws = np.stack([layer.layer_weights(training=True) for _ in range(1000)])  # (N, K)
    kept = draws > 0
    kept[kept.sum(axis=1) == 0] = True
    remaining = np.exp(w) * kept
    np.testing.assert_allclose(draws, remaining / remaining.sum(axis=1, keepdims=True), atol=1e-6)
    # All three dropped together: the softmax of all three. Else 30 % each.
    np.testing.assert_allclose((~kept).mean(axis=0), 0.3 - 0.3**3, atol=0.04)
    np.testing.assert_allclose(layer.layer_weights(), softmax(w), atol=1e-6)


def test_dropout_is_for_training():
    layer, x = ScalarMix(3, dropout=0.5, seed=1), random_layers()
    np.testing.assert_array_equal(layer(x), layer(x, training=False))
    draws = {np.array(layer(x, training=True)).tobytes() for _ in range(30)}
    assert len(draws) == 7  # the subsets of three layers, but all and none are one


def test_arguments_are_checked():
    with pytest.raises(ValueError, match="`num_tensors` must be at least 1. Received: num_ten"):
        ScalarMix(0)
    with pytest.raises(ValueError, match=r"`dropout` must be in \[0, 1\). Received: dropout=1"):
        ScalarMix(3, dropout=1)
    with pytest.raises(ValueError, match="layers on axis 1. Received: num_tensors=2, inputs.shape"):
        ScalarMix(2)(random_layers())
