"""Ragged batches: every dtype and rank is padded with its request's own first value."""

import numpy as np
import pytest
import tensorflow as tf

from polysemy.serving.server.ragged_batch import decode, encode, encoded_specs
from polysemy.serving.server.tensors import as_array

NUMERIC = ["float32", "float64", "float16", "bfloat16", "int8", "int16", "int32", "int64"]
NUMERIC += ["uint8", "uint16", "uint32", "uint64", "complex64", "complex128", "bool"]


def joined(*arrays, dtype=None):
    groups = [encode(as_array(tf.constant(array, dtype))) for array in arrays]
    parts = [tf.constant(np.concatenate(group)) for group in zip(*groups, strict=True)]
    assert [part.dtype for part in parts] == [s.dtype for s in encoded_specs(parts[2].dtype)]
    return decode(parts).numpy()


@pytest.mark.parametrize("name", NUMERIC)
def test_numbers(name):
    dtype = tf.as_dtype(name)
    a = np.arange(1, 13).reshape(2, 3, 2).astype(dtype.as_numpy_dtype)
    b = np.arange(20, 24).reshape(1, 1, 4).astype(dtype.as_numpy_dtype)
    expected = np.concatenate(
        [
            np.pad(a.astype("complex128"), [(0, 0), (0, 0), (0, 2)], constant_values=a.flat[0]),
            np.pad(b.astype("complex128"), [(0, 0), (0, 2), (0, 0)], constant_values=b.flat[0]),
        ]
    )
    np.testing.assert_array_equal(joined(a, b, dtype=dtype).astype("complex128"), expected)


def test_strings():
    result = joined([["a", "", "é"]], [["bcd"], ["\x00"]], dtype=tf.string)
    assert result.tolist() == [
        [b"a", b"", "é".encode()],
        [b"bcd", b"bcd", b"bcd"],
        [b"\x00", b"bcd", b"bcd"],
    ]


def test_rows_without_values():
    assert joined(np.zeros((2, 0), "f"), np.ones((1, 2), "f")).tolist() == [[0, 0], [0, 0], [1, 1]]
    assert joined(np.zeros((2, 0), "f")).shape == (2, 0)
    empty = np.zeros((1, 0), object)
    assert joined(empty, [["a"]], dtype=tf.string).tolist() == [[b""], [b"a"]]
