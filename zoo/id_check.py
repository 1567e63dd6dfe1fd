"""Refuses targets that are no ids: a CRF makes a large loss of them, a softmax on a GPU none."""

import keras

from .given import short


def checked_ids(y, number, kind, mask=None):
    """Targets, if each is the id of a class or tag.

    The values are checked on TensorFlow alone, and not within XLA, which has no errors.

    Args:
        y: int, (B,) or (B, 1) of texts, (B, W) of words.
        number: int. Of classes or tags.
        kind: str. "classes" or "tags".
        mask: (B, W) bool, True at words. None of texts.

    Returns:
        y; in a graph it waits for the check.

    Raises:
        ValueError: it is no array, or has another shape.
        tf.errors.InvalidArgumentError: there is an id that is none.
    """
    if not hasattr(y, "shape"):  # None, a dict
        raise ValueError(f"`y` must be ids of the {number} {kind}. Received: y={short(y)}")
    wanted = (None,) if mask is None else tuple(mask.shape)
    if not _fits(y.shape, wanted) and not (mask is None and _fits(y.shape, (None, 1))):
        raise ValueError(
            f"`y` must be ids of the {number} {kind}, of shape {wanted}. "
            f"Received: y.shape={tuple(y.shape)}"
        )
    if keras.backend.backend() != "tensorflow":
        return y
    import tensorflow as tf

    y = tf.convert_to_tensor(y)
    ids = tf.cast(y, tf.int32) if mask is None else tf.where(mask, tf.cast(y, tf.int32), 0)
    lowest, highest = tf.reduce_min(ids), tf.reduce_max(ids)
    check = tf.debugging.Assert(
        # Of no ids at all the lowest is the greatest number that there is.
        (lowest >= 0) & (highest < number),
        [f"`y` must be ids of the {number} {kind}, from 0 on. Received: from, to", lowest, highest],
    )
    # Eagerly, None: it has raised or it has not.
    with tf.control_dependencies([check] if check is not None else []):
        return tf.identity(y)


def _fits(shape, wanted):
    """Whether a shape, as far as it is known, is the one that is wanted."""
    if getattr(shape, "rank", 0) is None:
        return True
    return len(shape) == len(wanted) and all(
        None in pair or pair[0] == pair[1] for pair in zip(shape, wanted, strict=True)
    )
