import numpy as np
import pytest

from polysemy.layers.gather_words import GatherWords

POSITIONS = np.array([[0, 3, 4], [2, 0, 0]], "int32")


@pytest.mark.parametrize("num_layers", [None, 4])
def test_layer(check_layer, num_layers):
    axes = () if num_layers is None else (num_layers,)
    x = np.random.default_rng(0).normal(size=(2, *axes, 5, 6)).astype("float32")
    inputs = {"inputs": x, "positions": POSITIONS}
    shape = (2, *axes, 3, 6)
    layer = check_layer(GatherWords, {}, inputs, shape, 0, length_axis=1 + len(axes))
    expected = [x[row][..., positions, :] for row, positions in enumerate(POSITIONS)]
    np.testing.assert_array_equal(layer(x, POSITIONS), expected)
    assert layer(x, POSITIONS[:, :0]).shape == (2, *axes, 0, 6)
