"""A tensor that stays in its file until it is asked for."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class StoredTensor:
    """What stands for an array of a file: numpy reads it wherever it takes an array.

    Checkpoints are read tensor by tensor, so that a large model is in memory once.

    Attributes:
        shape: tuple of ints.
        read: callable without arguments. Returns the array, of that shape.

    Example:
    >>> tensor = StoredTensor((2,), lambda: np.array([3.0, 4.0]))
    >>> tensor.shape, float(np.sum(tensor))
    ((2,), 7.0)
    """

    shape: tuple[int, ...]
    read: Callable[[], np.ndarray]

    def __array__(self, dtype=None, copy=None):
        return np.asarray(self.read(), dtype=dtype)
