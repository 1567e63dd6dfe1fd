"""Masks of attention, in one place: bool, True where a query may attend to a key.

They broadcast to (B, H, Lq, Lk): B batch, H heads, Lq queries, Lk keys.
"""

import functools
from typing import Any

from keras import ops
from keras.src.backend import get_keras_mask  # Keras has no public name for it


def padding_attention_mask(padding_mask):
    """Hides padding from every query.

    Args:
        padding_mask: (B, L) bool or number, true at tokens.

    Returns:
        (B, 1, 1, L) bool.

    Example:
    >>> padding_attention_mask(ops.array([[1, 1, 0]])).shape
    TensorShape([1, 1, 1, 3])
    """
    return ops.cast(padding_mask, "bool")[:, None, None, :]


def keras_mask(x):
    """The mask (B, L) that Keras keeps with a tensor, such as of `Embedding(mask_zero=True)`."""
    return get_keras_mask(x)


def causal_attention_mask(query_length: Any, key_length: Any, offset: Any = 0):
    """Hides later positions: query i stands at position `offset + i` and sees keys up to there.

    Args:
        query_length: int or scalar tensor. Lq.
        key_length: int or scalar tensor. Lk.
        offset: int, scalar tensor or (B,) int tensor. The position of the first query among the
            keys, of all rows or of each; how many positions a cache holds already.

    Returns:
        (1, 1, Lq, Lk) bool, or (B, 1, Lq, Lk) if `offset` has an axis.

    Example:
    >>> ops.convert_to_numpy(causal_attention_mask(2, 3, offset=1)[0, 0]).tolist()
    [[True, True, False], [True, True, True]]
    """
    offset = ops.cast(ops.convert_to_tensor(offset), "int32")
    position = ops.arange(query_length, dtype="int32") + ops.reshape(offset, (-1, 1))  # (1|B, Lq)
    return position[:, None, :, None] >= ops.arange(key_length, dtype="int32")


def combine_masks(*masks):
    """True where every mask is.

    Args:
        masks: bool tensors that broadcast to (B, H, Lq, Lk), or None, which hides nothing.

    Returns:
        The conjunction, of the broadcast shape, or None if there is no mask.

    Example:
    >>> causal = causal_attention_mask(3, 3)
    >>> combine_masks(padding_attention_mask(ops.array([[1, 1, 0]])), None, causal).shape
    TensorShape([1, 1, 3, 3])
    """
    present = [mask for mask in masks if mask is not None]
    return functools.reduce(ops.logical_and, present) if present else None
