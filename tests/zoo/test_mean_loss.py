"""The mean with sample weights, against numpy."""

import numpy as np
import pytest

from polysemy.zoo.mean_loss import mean_loss

EACH = np.array([[1.0, 2.0, 4.0], [8.0, 16.0, np.nan]], "float32")
MASK = np.array([[1, 1, 1], [1, 1, 0]])


@pytest.mark.parametrize(
    ("weights", "total"),
    [
        (None, 31),
        ([0.5, 2], 51.5),
        ([[0.5], [2]], 51.5),
        ([[1, 0, 3], [0, 0.5, 7]], 21),
    ],
)
def test_weights(weights, total):
    weights = None if weights is None else np.array(weights)
    assert float(mean_loss(EACH, MASK, weights)) == pytest.approx(total / 5)


def test_a_loss_a_row():
    assert float(mean_loss(EACH[:, 0])) == 4.5
    assert float(mean_loss(EACH[:, 0], sample_weight=np.array([[2.0], [0.5]]))) == 3


@pytest.mark.parametrize("shape", [(3,), (2, 2), (1, 3), (2, 3, 1), ()])
def test_other_shapes_are_refused(shape):
    with pytest.raises(ValueError, match=r"a weight for each row.* of shape \(2, 3\).*sample_wei"):
        mean_loss(EACH, MASK, np.ones(shape))


def test_nothing_counts():
    assert float(mean_loss(EACH, 0 * MASK)) == 0
