"""Refuses targets that are no tags, which the losses of a CRF would only make large."""

import keras


def checked_tags(y, mask, number):
    """Tag ids, if each word has that of a tag.

    On TensorFlow alone, and not within XLA, which has no errors.

    Args:
        y: (B, W) int. mask: (B, W) bool, True at words.
        number: int. Of tags.

    Returns:
        y; in a graph it waits for the check.

    Raises:
        tf.errors.InvalidArgumentError: there is an id that is no tag's.
    """
    if keras.backend.backend() != "tensorflow":
        return y
    import tensorflow as tf

    y = tf.convert_to_tensor(y)
    ids = tf.where(mask, tf.cast(y, tf.int32), 0)
    lowest, highest = tf.reduce_min(ids), tf.reduce_max(ids)
    check = tf.debugging.Assert(
        # Of no words at all the lowest is the greatest number that there is.
        (lowest >= 0) & (highest < number),
        [f"`y` must be ids of the {number} tags, from 0 on. Received: from, to", lowest, highest],
    )
    # Eagerly, None: it has raised or it has not.
    with tf.control_dependencies([check] if check is not None else []):
        return tf.identity(y)
