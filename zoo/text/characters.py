"""Words to the character ids of the published biLMs, in TensorFlow's graph."""

import tensorflow as tf

from .character_constants import BEGIN_WORD, END_WORD, PAD_CHARACTER


def character_ids(tokens, max_characters=50):
    """Encodes each word as its UTF-8 bytes between two marks.

    A row is begin-of-word, at most `max_characters - 2` bytes, end-of-word, padding; the empty
    string, which stands for a padded position, is a row of zeros. Longer words are cut, as the
    published program cuts them, even inside a character of several bytes. Bytes that are no UTF-8
    are taken as they are.

    Args:
        tokens: string tensor of any shape.
        max_characters: int, at least 3.

    Returns:
        int32, the shape of `tokens` with one axis more of size `max_characters`.

    Example:
    >>> character_ids(tf.constant(["The", ""]), max_characters=6).numpy().tolist()
    [[259, 85, 105, 102, 260, 261], [0, 0, 0, 0, 0, 0]]
    """
    longest = max_characters - 2
    words = tf.strings.substr(tf.reshape(tokens, [-1]), 0, longest, unit="BYTE")
    lengths = tf.strings.length(words)[:, None]  # (N, 1)
    # Shorter words are filled up with zero bytes, which `lengths` tells from a word's own.
    characters = tf.io.decode_raw(words, tf.uint8, fixed_length=longest)
    characters = tf.cast(characters, tf.int32) + 1
    characters = tf.pad(characters, [[0, 0], [1, 1]])
    position = tf.range(max_characters)[None, :]
    ids = tf.where(position <= lengths, characters, PAD_CHARACTER)
    ids = tf.where(position == lengths + 1, END_WORD, ids)
    ids = tf.where(position == 0, BEGIN_WORD, ids)
    ids = tf.where(lengths > 0, ids, 0)
    return tf.reshape(ids, tf.concat([tf.shape(tokens), [max_characters]], axis=0))
