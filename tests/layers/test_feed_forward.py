import math

import keras
import numpy as np
import pytest
import tensorflow as tf

from polysemy.layers import FeedForward

ACTIVATIONS = {
    "gelu": lambda x: x * (1 + np.vectorize(math.erf)(x / math.sqrt(2))) / 2,
    "gelu_tanh": lambda x: x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))) / 2,
    "relu": lambda x: np.maximum(x, 0),
    "tanh": np.tanh,
}


def inputs(*shape):
    return np.random.default_rng(0).normal(size=shape).astype("float32")


def test_layer(check_layer):
    x = {"inputs": inputs(3, 5, 6), "residual": inputs(3, 5, 6)}
    check_layer(FeedForward, {"intermediate_dim": 8}, x, (3, 5, 6), num_weights=4)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_formula(randomize, activation):
    layer = FeedForward(8, activation)
    x = inputs(2, 5, 6)
    layer(x)
    randomize(layer)
    kernel, bias, output_kernel, output_bias = (w.astype("float64") for w in layer.get_weights())
    hidden = ACTIVATIONS[activation](x.astype("float64") @ kernel + bias)
    expected = hidden @ output_kernel + output_bias
    np.testing.assert_allclose(layer(x), expected, atol=2e-6)
    np.testing.assert_allclose(layer(x, residual=x), expected + x, atol=2e-6)


def test_any_number_of_axes():
    layer = FeedForward(8)
    x = inputs(2, 3, 4, 6)
    whole = layer(x)
    np.testing.assert_allclose(whole[1, 2], layer(x[1, 2]), atol=1e-6)


def test_product_bias_and_activation_are_one_operation():
    """What the speed in half precision rests on: nothing stands between the three."""
    layer = FeedForward(8, "gelu_tanh")
    layer.build((None, None, 6))
    traced = tf.function(layer, autograph=False).get_concrete_function(
        tf.TensorSpec((None, None, 6), tf.float32)
    )
    (product, _) = (op for op in traced.graph.get_operations() if op.type == "MatMul")
    (bias,) = product.outputs[0].consumers()
    assert bias.type == "BiasAdd"
    assert not [op for op in bias.outputs[0].consumers() if op.type in ("Reshape", "Cast")]


def test_product_bias_and_residual_follow_each_other():
    layer = FeedForward(8, "gelu_tanh")
    layer.build((None, None, 6))
    spec = tf.TensorSpec((None, None, 6), tf.float32)
    traced = tf.function(
        lambda x, residual: layer(x, residual=residual), autograph=False
    ).get_concrete_function(spec, spec)
    (_, product) = (op for op in traced.graph.get_operations() if op.type == "MatMul")
    (bias,) = product.outputs[0].consumers()
    (total,) = bias.outputs[0].consumers()
    assert (bias.type, total.type) == ("BiasAdd", "AddV2")


@pytest.mark.parametrize("shape", [(0, 6), (0, 5, 6), (1, 6), (1, 1, 6), (2, 0, 6)])
def test_few_rows(shape):
    layer = FeedForward(8)
    x = inputs(*shape)
    found = layer(x, residual=x)
    assert found.shape == shape
    np.testing.assert_allclose(found, layer(x) + x, atol=1e-6)


def test_dropout_is_of_the_inner_activations():
    layer = FeedForward(4_000, "relu", dropout=0.5, seed=1)
    layer.build((None, 1))
    layer.set_weights([np.ones((1, 4_000)), np.zeros(4_000), np.ones((4_000, 1)), np.zeros(1)])
    x = np.ones((1, 1), "float32")
    np.testing.assert_allclose(layer(x), 4_000)
    found = float(layer(x, training=True)[0, 0])
    assert found != 4_000 and abs(found - 4_000) < 400


def test_initializers():
    layer = FeedForward(
        300,
        kernel_initializer=keras.initializers.RandomNormal(stddev=0.02, seed=1),
        output_initializer=keras.initializers.RandomNormal(stddev=0.005, seed=1),
    )
    layer.build((None, 200))
    assert abs(np.std(layer.kernel) - 0.02) < 1e-3
    assert abs(np.std(layer.output_kernel) - 0.005) < 3e-4


def test_arguments_are_checked():
    with pytest.raises(ValueError, match="`intermediate_dim` must be at least 1. Received: inter"):
        FeedForward(0)
    with pytest.raises(ValueError, match="`activation` must be one of .* activation='swish'"):
        FeedForward(4, "swish")
    with pytest.raises(ValueError, match=r"`dropout` must be in \[0, 1\). Received: dropout=1"):
        FeedForward(4, dropout=1)
