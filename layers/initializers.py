"""First values of weights that share an initializer, and weights that need none."""

import contextlib
import contextvars

import keras
from keras import ops

_WITHOUT_VALUES = contextvars.ContextVar("weights_without_values", default=False)


@contextlib.contextmanager
def weights_without_values():
    """Within it `first_values` reserves memory and writes nothing.

    For a model whose weights are all set right behind it, from a checkpoint: random values would
    take time and, while they are made, several times the memory of the largest weight.

    Example:
    >>> with weights_without_values():
    ...     weight = keras.Variable(first_values("glorot_uniform"), shape=(2, 3))
    >>> weight.assign(ops.ones((2, 3))).shape
    TensorShape([2, 3])
    """
    token = _WITHOUT_VALUES.set(True)
    try:
        yield
    finally:
        _WITHOUT_VALUES.reset(token)


def without_values():
    """Whether this is within `weights_without_values`."""
    return _WITHOUT_VALUES.get()


def clone_initializer(initializer):
    """A fresh copy: weights that share one seeded initializer would start equal."""
    return keras.initializers.get(initializer).clone()


def first_values(initializer):
    """What `add_weight` gets for an initializer that several weights share: a copy of their own."""
    return no_values if without_values() else clone_initializer(initializer)


def no_values(shape, dtype=None):
    """Memory of a weight, with whatever stands in it."""
    if keras.backend.backend() != "tensorflow":
        return ops.empty(shape, dtype)
    import tensorflow as tf

    # Not `ops.empty`, which writes zeros here.
    return tf.raw_ops.Empty(shape=shape, dtype=dtype or keras.config.floatx(), init=False)
