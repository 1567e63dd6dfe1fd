"""TensorProto: every dtype there and back through the typed fields."""

import numpy as np
import pytest
import tensorflow as tf

from polysemy.serving.server.tensors import from_proto, to_proto

NUMERIC = ["float32", "float64", "float16", "bfloat16", "int8", "int16", "int32", "int64"]
NUMERIC += ["uint8", "uint16", "uint32", "uint64", "complex64", "complex128"]


@pytest.mark.parametrize("name", NUMERIC)
def test_numbers_survive(name):
    values = np.arange(60).reshape(3, 4, 5).astype(tf.as_dtype(name).as_numpy_dtype)
    if name.startswith("complex"):
        values = values + 1j * values[::-1]
    proto = to_proto(values)
    assert not proto.tensor_content
    np.testing.assert_array_equal(from_proto(proto).numpy(), values)
    np.testing.assert_array_equal(tf.make_ndarray(proto), values)


@pytest.mark.parametrize("shape", [(), (0,), (2, 0), (300,)])
def test_shapes_survive(shape):
    values = np.full(shape, 7.5, "float32")
    restored = from_proto(to_proto(values))
    assert restored.shape == shape
    np.testing.assert_array_equal(restored, values)


def test_strings_and_bools_survive():
    words = tf.constant([["a", ""], ["é", b"\xff\x00"]])
    np.testing.assert_array_equal(from_proto(to_proto(words.numpy())), words)
    flags = np.array([True, False, True])
    np.testing.assert_array_equal(from_proto(to_proto(flags)), flags)


def test_too_many_values_are_cut():
    proto = to_proto(np.arange(5, dtype="int32"))
    proto.tensor_shape.dim[0].size = 2
    assert from_proto(proto).numpy().tolist() == [0, 1]
