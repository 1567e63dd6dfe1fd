"""DistinctRows and TakeRows, each other's inverse."""

import numpy as np
import pytest

from polysemy.layers.distinct_rows import DistinctRows
from polysemy.layers.take_rows import TakeRows


def random_rows(batch=4, length=6):
    return np.random.default_rng(0).integers(0, 2, (batch, length, 3)).astype("int32")


def test_layers(check_layer):
    x = random_rows()
    unique = len(np.unique(x.reshape(-1, 3), axis=0))
    # XLA cannot know the number of distinct rows when it compiles.
    check_layer(DistinctRows, {}, {"inputs": x}, [(unique, 3), (4, 6)], 0, jit_compile=False)
    rows = np.random.default_rng(0).normal(size=(5, 3)).astype("float32")
    indices = np.array([[0, 4, 4], [2, 1, 0]], "int32")
    check_layer(TakeRows, {}, {"inputs": rows, "indices": indices}, (2, 3, 3), 0, length_axis=0)


@pytest.mark.parametrize("batch, length", [(4, 6), (1, 1), (0, 6), (3, 0)])
def test_taking_is_the_inverse(batch, length):
    x = random_rows(batch, length)
    rows, indices = DistinctRows()(x)
    assert len(np.unique(rows, axis=0)) == len(rows) <= min(8, max(batch * length, 0))
    np.testing.assert_array_equal(TakeRows()(rows, indices), x)


def test_taking_follows_the_indices():
    rows = np.array([[1.0, 2.0], [3.0, 4.0]])
    found = TakeRows()(rows, np.array([[1, 0, 1]]))
    np.testing.assert_array_equal(found, [[[3, 4], [1, 2], [3, 4]]])
