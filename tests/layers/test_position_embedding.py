import numpy as np
import pytest
import tensorflow as tf

from polysemy.layers import PositionEmbedding, SinusoidalPosition


def zeros(*shape):
    return np.zeros(shape, "float32")


def test_layer(check_layer):
    check_layer(PositionEmbedding, {"max_length": 7}, {"x": zeros(3, 5, 6)}, (5, 6), num_weights=1)


@pytest.mark.parametrize("layout", ["interleaved", "halves"])
def test_sinusoidal_layer(check_layer, layout):
    check_layer(SinusoidalPosition, {"layout": layout}, {"x": zeros(3, 5, 6)}, (5, 6), 0)


def test_learned_positions(randomize):
    layer = PositionEmbedding(7)
    layer.build((None, None, 6))
    randomize(layer)
    table = layer.get_weights()[0]
    np.testing.assert_array_equal(layer(zeros(2, 5, 6)), table[:5])
    np.testing.assert_array_equal(layer(zeros(2, 5, 6), start_index=2), table[2:7])
    np.testing.assert_array_equal(layer(zeros(2, 5, 6), start_index=tf.constant(2)), table[2:7])
    found = layer(zeros(2, 3, 6), start_index=np.array([0, 4]))
    np.testing.assert_array_equal(found, [table[:3], table[4:]])


def sinusoids(positions, dim, layout):
    table = np.zeros((len(positions), dim))
    for row, position in enumerate(positions):
        for i in range(dim // 2):
            if layout == "interleaved":
                angle, columns = position / 10_000 ** (2 * i / dim), (2 * i, 2 * i + 1)
            else:
                angle, columns = position / 10_000 ** (i / (dim / 2 - 1)), (i, dim // 2 + i)
            table[row, list(columns)] = np.sin(angle), np.cos(angle)
    return table


@pytest.mark.parametrize("layout", ["interleaved", "halves"])
def test_sinusoids(layout):
    layer = SinusoidalPosition(layout)
    table = sinusoids(range(600), 8, layout)
    np.testing.assert_allclose(layer(zeros(2, 600, 8)), table, atol=5e-5)
    np.testing.assert_allclose(layer(zeros(2, 5, 8), start_index=2), table[2:7], atol=1e-6)
    found = layer(zeros(2, 3, 8), start_index=np.array([0, 40]))
    np.testing.assert_allclose(found, [table[:3], table[40:43]], atol=1e-5)


def test_two_features():
    np.testing.assert_allclose(
        SinusoidalPosition("halves")(zeros(1, 3, 2)),
        sinusoids(range(3), 2, "interleaved"),
        atol=1e-6,
    )


def test_late_positions_stay_apart_in_half_precision():
    layer = SinusoidalPosition(dtype="mixed_bfloat16")
    found = np.array(layer(zeros(1, 1_000, 8))).astype("float32")
    np.testing.assert_allclose(found, sinusoids(range(1_000), 8, "interleaved"), atol=5e-3)


def test_lengths_are_checked():
    layer = PositionEmbedding(4)
    with pytest.raises(ValueError, match="start_index=0, length=5, max_length=4"):
        layer(zeros(2, 5, 6))
    with pytest.raises(ValueError, match="start_index=3, length=2, max_length=4"):
        layer(zeros(2, 2, 6), start_index=3)
    with pytest.raises(ValueError, match="start_index=-1, length=2, max_length=4"):
        layer(zeros(2, 2, 6), start_index=-1)
    with pytest.raises(ValueError, match="start_index=a tensor, length=5, max_length=4"):
        layer(zeros(2, 5, 6), start_index=np.array([0, 0]))

    @tf.function(input_signature=[tf.TensorSpec((None, None, 6))], autograph=False)
    def add(x):
        return x + layer(x)

    assert add(zeros(2, 4, 6)).shape == (2, 4, 6)
    with pytest.raises(tf.errors.InvalidArgumentError):
        add(zeros(2, 5, 6))


def test_arguments_are_checked():
    with pytest.raises(ValueError, match="`max_length` must be at least 1. Received: max_length=0"):
        PositionEmbedding(0)
    with pytest.raises(ValueError, match="`layout` must be .* layout='mixed'"):
        SinusoidalPosition("mixed")
    with pytest.raises(ValueError, match=r"must be even. Received: x.shape=\(2, 5, 7\)"):
        SinusoidalPosition()(zeros(2, 5, 7))
