import numpy as np
import pytest

from polysemy.layers import LayerNorm


def test_layer(check_layer):
    x = np.random.default_rng(0).normal(3.0, 2.0, (3, 5, 6)).astype("float32")
    check_layer(LayerNorm, {"epsilon": 1e-5}, {"inputs": x}, (3, 5, 6), num_weights=2)


@pytest.mark.parametrize("epsilon", [1e-12, 0.3])
def test_formula(randomize, epsilon):
    layer = LayerNorm(epsilon)
    layer.build((None, 6))
    randomize(layer)
    gamma, beta = (w.astype("float64") for w in layer.get_weights())
    x = np.random.default_rng(0).normal(3.0, 2.0, (4, 5, 6)).astype("float32")
    centered = x.astype("float64") - x.mean(-1, keepdims=True, dtype="float64")
    deviation = np.sqrt((centered**2).mean(-1, keepdims=True) + epsilon)
    np.testing.assert_allclose(layer(x), centered / deviation * gamma + beta, atol=2e-6)


def test_half_precision_computes_in_single(randomize):
    """Far from zero bfloat16's own mean would be off by more than the deviation."""
    layer = LayerNorm(1e-5, dtype="mixed_bfloat16")
    x = np.array([[256.0, 258.0, 260.0, 262.0]])  # representable in bfloat16
    found = np.array(layer(x)).astype("float32")
    np.testing.assert_allclose(found, [[-1.342, -0.447, 0.447, 1.342]], atol=5e-3)
    # Weights are not rounded: 1.001 is 1 in bfloat16.
    layer.set_weights([np.full(4, 1.001), np.full(4, -1.0)])
    assert layer(np.array([[-1.0, -1.0, 1.0, 1.0]])).dtype == "bfloat16"
    single = LayerNorm(1e-5, dtype="float32")
    single.build((None, 4))
    single.set_weights(layer.get_weights())
    np.testing.assert_array_equal(
        np.array(layer(x)), np.array(single(x)).astype(np.array(layer(x)).dtype)
    )


def test_constant_rows_are_finite():
    np.testing.assert_array_equal(LayerNorm()(np.full((2, 4), 7.0, "float32")), np.zeros((2, 4)))


def test_epsilon_is_checked():
    with pytest.raises(ValueError, match="`epsilon` must be at least 0. Received: epsilon=-1"):
        LayerNorm(-1)
