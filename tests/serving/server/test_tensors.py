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
    np.testing.assert_array_equal(from_proto(proto), values)
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
    assert from_proto(proto).tolist() == [0, 1]


@pytest.mark.parametrize("name", [*NUMERIC, "bool"])
@pytest.mark.parametrize("count", [3, 200])
def test_every_way_of_writing_is_read(name, count):
    dtype = tf.as_dtype(name)
    values = (np.arange(count) * 101 - 100).astype(dtype.as_numpy_dtype)
    for proto in (
        to_proto(values),
        to_proto(tf.constant(values)),
        to_proto(values, as_content=True),
        tf.make_tensor_proto(values, dtype),
    ):
        np.testing.assert_array_equal(tf.make_ndarray(proto), values)
        np.testing.assert_array_equal(from_proto(proto), values)


def test_integers_of_every_length_survive():
    values = np.array([2**n + d for n in range(63) for d in (-1, 0)] + [-1, -(2**63)], np.int64)
    assert list(to_proto(values).int64_val) == values.tolist()
    large = np.array([2**64 - 1, 2**63, 0] * 30, np.uint64)
    assert list(to_proto(large).uint64_val) == large.tolist()


@pytest.mark.parametrize("value", [b"\xff", "é", 1.5, True, 2**40])
def test_scalars_survive(value):
    proto = to_proto(tf.constant(value))
    assert not proto.tensor_shape.dim and proto.HasField("tensor_shape")
    assert from_proto(proto) == tf.constant(value).numpy()


def test_unusual_dtypes_survive():
    values = tf.constant([1, 2], tf.qint8)
    np.testing.assert_array_equal(from_proto(to_proto(values)), values.numpy())


@pytest.mark.parametrize("name", ["float32", "object", "int8", "bfloat16"])
def test_empty_shapes_that_no_array_can_have(name):
    proto = to_proto(np.zeros((0,), name) if name != "bfloat16" else tf.zeros(0, tf.bfloat16))
    del proto.tensor_shape.dim[:]
    for size in (2**62, 0, 2**62):
        proto.tensor_shape.dim.add().size = size
    with pytest.raises(ValueError, match="a shape that arrays can have"):
        from_proto(proto)


def test_shapes_have_a_limit():
    proto = to_proto(np.zeros(1, "float32"))
    for _ in range(255):
        proto.tensor_shape.dim.add(size=2**62)  # whose product would take long
    with pytest.raises(ValueError, match="at most 254 dimensions. Received: 256"):
        from_proto(proto)


@pytest.mark.parametrize("limit", [23, 24])
def test_size_in_memory_has_a_limit(limit):
    proto = to_proto(np.zeros((2, 3), "int32"))
    if limit == 24:
        assert from_proto(proto, limit).shape == (2, 3)
    else:
        with pytest.raises(ValueError, match="within 23 bytes. Received: shape"):
            from_proto(proto, limit)
