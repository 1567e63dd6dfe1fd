import numpy as np
import pytest

from polysemy.layers.highway import Highway


def test_layer(check_layer):
    x = np.random.default_rng(0).normal(size=(3, 5, 6)).astype("float32")
    check_layer(Highway, {"num_layers": 2}, {"inputs": x}, (3, 5, 6), num_weights=8)


def test_formula(randomize):
    layer = Highway(num_layers=2)
    layer.build((None, 6))
    randomize(layer)
    x = np.random.default_rng(0).normal(size=(5, 6)).astype("float32")
    weights = [w.astype("float64") for w in layer.get_weights()]
    expected = x.astype("float64")
    for transform, transform_bias, gate, gate_bias in (weights[:4], weights[4:]):
        g = 1 / (1 + np.exp(-(expected @ gate + gate_bias)))
        transformed = np.maximum(expected @ transform + transform_bias, 0)
        expected = g * transformed + (1 - g) * expected
    np.testing.assert_allclose(layer(x), expected, atol=1e-6)


def test_input_is_mostly_carried_at_first():
    """The gate's bias starts at -2: with no other weights 12 % are transformed."""
    layer = Highway()
    layer.build((None, 4))
    kernel, bias, _, gate_bias = layer.get_weights()
    np.testing.assert_array_equal(gate_bias, -2)
    layer.set_weights([0 * kernel, bias, 0 * kernel, gate_bias])
    np.testing.assert_allclose(layer(np.ones((1, 4))), 1 - 1 / (1 + np.exp(2)), rtol=1e-6)


def test_number_of_layers_is_checked():
    with pytest.raises(ValueError, match="`num_layers` must be at least 1. Received: num_layers=0"):
        Highway(num_layers=0)
