"""Requests of unlike inner shapes in one batch: rows travel as bytes and are padded together."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

_BYTES = [bytes([value]) for value in range(256)]
# What `tf.io.decode_raw` has not is read as an integer of the same size.
_READ_AS = {tf.uint32: tf.int32, tf.uint64: tf.int64}


def encoded_specs(dtype: tf.DType) -> list[tf.TensorSpec]:
    """The tensors that stand for one input: see `encode`."""
    specs = [
        tf.TensorSpec([None], tf.string, "rows"),
        tf.TensorSpec([None, None], tf.int64, "shapes"),
        tf.TensorSpec([None], dtype, "padding"),
    ]
    return specs + [tf.TensorSpec([None], tf.string, "lengths")] * (dtype == tf.string)


def encode(array: np.ndarray) -> list[np.ndarray]:
    """(n, ...) of one request -> rows (n,) bytes, shapes (n, r), padding (n,); for strings also
    the lengths (n,) of the elements, as bytes. All of these can be joined to those of others.

    Padding is the request's own first value, as TensorFlow Serving pads.
    """
    n = array.shape[0]
    shapes = np.tile(np.array(array.shape[1:], np.int64), (n, 1))
    if array.dtype == object:
        flat = array.reshape(n, -1).tolist()
        first = next((row[0] for row in flat if row), b"")
        rows = [b"".join(row) for row in flat]
        lengths = [np.array([len(item) for item in row], np.int64).tobytes() for row in flat]
        return [_objects(rows), shapes, _objects([first] * n), _objects(lengths)]
    content = array.tobytes()
    size = len(content) // n
    rows = [content[i * size : (i + 1) * size] for i in range(n)]
    first = array.reshape(-1)[:1] if array.size else np.zeros(1, array.dtype)
    return [_objects(rows), shapes, np.repeat(first, n)]


def _objects(values: list[bytes]) -> np.ndarray:
    return np.array(values, object)


def decode(parts: list[tf.Tensor]) -> tf.Tensor:
    """The arrays of `encode`, joined over N rows -> (N, ...), every row of the largest shape.

    Example:
    >>> one, other = encode(np.array([[1, 2, 3]], "int32")), encode(np.array([[7]], "int32"))
    >>> decode([tf.constant(np.concatenate(pair)) for pair in zip(one, other)]).numpy()
    array([[1, 2, 3],
           [7, 7, 7]], dtype=int32)
    """
    rows, shapes, padding = parts[:3]
    values = _strings(rows, parts[3]) if padding.dtype == tf.string else _raw(rows, padding.dtype)
    largest = tf.reduce_max(shapes, 0)  # (r,)
    room = tf.reduce_prod(largest)
    sizes = tf.reduce_prod(shapes, 1)  # (N,)
    count = tf.shape(sizes, tf.int64)[0]
    row = tf.repeat(tf.range(count), sizes)  # (values,)
    offset = tf.range(tf.reduce_sum(sizes)) - tf.gather(tf.cumsum(sizes, exclusive=True), row)
    # The place of a value in its row, by axis; then the same place in the largest row.
    strides = tf.math.cumprod(shapes, 1, exclusive=True, reverse=True)
    places = offset[:, None] // tf.gather(strides, row) % tf.gather(shapes, row)
    wide = tf.math.cumprod(largest, exclusive=True, reverse=True)
    target = row * room + tf.reduce_sum(places * wide, 1)
    # Gathering knows every dtype, which repeating does not.
    filled = tf.gather(padding, tf.repeat(tf.range(count), room))
    filled = tf.tensor_scatter_nd_update(filled, target[:, None], values)
    return tf.reshape(filled, tf.concat([count[None], largest], 0))


def _raw(rows: tf.Tensor, dtype: tf.DType) -> tf.Tensor:
    values = tf.io.decode_raw(tf.strings.reduce_join(rows), _READ_AS.get(dtype, dtype))
    return tf.bitcast(values, dtype) if dtype in _READ_AS else values


def _strings(rows: tf.Tensor, lengths: tf.Tensor) -> tf.Tensor:
    sizes = _raw(lengths, tf.int64)
    content = tf.cast(_raw(rows, tf.uint8), tf.int32)
    owner = tf.repeat(tf.range(tf.shape(sizes)[0]), sizes)
    return tf.strings.unsorted_segment_join(
        tf.gather(tf.constant(_BYTES), content), owner, tf.shape(sizes)[0]
    )
