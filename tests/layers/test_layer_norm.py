import numpy as np
import pytest
import tensorflow as tf

from polysemy.layers import LayerNorm


def test_layer(check_layer):
    x = np.random.default_rng(0).normal(3.0, 2.0, (3, 5, 6)).astype("float32")
    check_layer(LayerNorm, {"epsilon": 1e-5}, {"inputs": x}, (3, 5, 6), num_weights=2)


def _call(layer, x):
    return layer(x)


def _train(layer, x):
    return layer(x, training=True)


def _in_graph(layer, x):
    """Of a shape that is known when the graph is made."""
    return tf.function(layer)(x)


def _in_exported_graph(layer, x):
    """Of a shape that is not, as in a served model."""
    shape = [None] * (x.ndim - 1) + [x.shape[-1]]
    return tf.function(layer, input_signature=[tf.TensorSpec(shape, x.dtype)])(x)


def _compiled(layer, x):
    return tf.function(layer, jit_compile=True)(x)


WAYS = (_call, _train, _in_graph, _in_exported_graph, _compiled)


@pytest.fixture(params=WAYS, ids=lambda way: way.__name__.strip("_"))
def run(request):
    """What calls a layer, in one of the ways that have graphs of their own."""
    return request.param


@pytest.mark.parametrize(
    "shape, epsilon",
    [((4, 5, 6), 1e-12), ((4, 5, 6), 0.3), ((7, 6), 0.3), ((2, 1, 6), 1e-5), ((2, 3, 4, 6), 1e-5)],
)
def test_formula(randomize, run, shape, epsilon):
    layer = LayerNorm(epsilon)
    layer.build((None, 6))
    randomize(layer)
    gamma, beta = (w.astype("float64") for w in layer.get_weights())
    x = np.random.default_rng(0).normal(3.0, 2.0, shape).astype("float32")
    centered = x.astype("float64") - x.mean(-1, keepdims=True, dtype="float64")
    deviation = np.sqrt((centered**2).mean(-1, keepdims=True) + epsilon)
    found = run(layer, x)
    assert found.shape == shape
    np.testing.assert_allclose(found, centered / deviation * gamma + beta, atol=2e-6)


def test_mean_far_from_zero(run):
    """E[x^2] - E[x]^2, as some programs have the variance, would be off by 0.6 here."""
    x = np.random.default_rng(0).normal(1000.0, 1.0, (8, 64)).astype("float32")
    found = np.array(run(LayerNorm(), x))
    np.testing.assert_allclose(found.std(-1), 1.0, atol=1e-3)
    np.testing.assert_allclose(found.mean(-1), 0.0, atol=1e-3)


@pytest.mark.parametrize("shape", [(0, 5, 6), (3, 0, 6)])
def test_no_rows(run, shape):
    assert run(LayerNorm(), np.zeros(shape, "float32")).shape == shape


def test_gradient_does_not_depend_on_the_way(randomize):
    """Fine-tuning may call a graph as in inference; its gradient is another program's."""
    layer = LayerNorm(1e-5)
    layer.build((None, 6))
    randomize(layer)
    x = tf.constant(np.random.default_rng(0).normal(3.0, 2.0, (4, 5, 6)).astype("float32"))
    found = []
    for way in (_train, _in_graph, _in_exported_graph):
        with tf.GradientTape() as tape:
            tape.watch(x)
            loss = tf.reduce_sum(tf.sin(way(layer, tf.identity(x))))
        found.append(tape.gradient(loss, [x, *layer.trainable_variables]))
    for other in found[1:]:
        for a, b in zip(found[0], other, strict=True):
            np.testing.assert_allclose(a, b, atol=1e-5)


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
