"""Tensors on the wire: `TensorProto` to tensor and back, as TensorFlow Serving does it."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

import numpy as np
import tensorflow as tf

# `tf.constant` takes twice as long to come to this.
from tensorflow.python.eager import context
from tensorflow.python.framework.constant_op import convert_to_eager_tensor

from ..protos import TensorProto

# The values of one request cannot be more than this: gRPC's own limit on a message. A shape with
# few values may claim any size, since the last value is repeated.
MAX_BYTES = 2**31 - 1
# What a string takes in a tensor, besides its bytes.
STRING_BYTES = 24
# Up to so many elements numpy reads a typed field faster than the message can be written again.
FEW = 64

_FIELDS = {  # typed fields of TensorProto by dtype
    **dict.fromkeys(("int32", "int16", "int8", "uint16", "uint8"), "int_val"),
    **dict.fromkeys(("float16", "bfloat16"), "half_val"),
    "int64": "int64_val",
    "uint32": "uint32_val",
    "uint64": "uint64_val",
    "bool": "bool_val",
    "float32": "float_val",
    "float64": "double_val",
    "complex64": "scomplex_val",
    "complex128": "dcomplex_val",
}
_NUMBERS = {
    name: TensorProto.DESCRIPTOR.fields_by_name[name].number
    for name in (*_FIELDS.values(), "tensor_content")
}
# Packed as fixed-size values, little-endian as TensorFlow's machines: one copy of memory.
_FIXED = ("float32", "float64", "complex64", "complex128")
_DTYPES = {  # by the number in a message
    dtype.as_datatype_enum: (dtype, np.dtype(dtype.as_numpy_dtype), _FIELDS[dtype.name])
    for dtype in map(tf.as_dtype, _FIELDS)
}
_ENUMS = {numpy_dtype: number for number, (_, numpy_dtype, _) in _DTYPES.items()}
_STRING = tf.string.as_datatype_enum
# TensorFlow's own limit. The product of more sizes may have millions of digits.
_MOST_DIMENSIONS = 254
# The sizes of an array, but for those that are 0, must not multiply to more: also if it is empty.
_MOST_ELEMENTS = 2**58
# Handles into this process, which a client must not make up.
_REFUSED = {tf.resource, tf.variant}


def from_proto(proto: Any, max_bytes: int = MAX_BYTES) -> tf.Tensor:
    """Reads a `TensorProto`; fewer values than elements repeat the last one.

    Args:
        proto: a `TensorProto`.
        max_bytes: int. Largest size of the tensor in memory.

    Raises:
        ValueError: if the values do not fit the shape, the dtype is none or the tensor too large.

    Example:
    >>> from_proto(TensorProto(dtype=1, float_val=[1, 2], tensor_shape={"dim": [{"size": 3}]}))
    <tf.Tensor: shape=(3,), dtype=float32, numpy=array([1., 2., 2.], dtype=float32)>
    """
    shape = proto.tensor_shape
    if len(shape.dim) > _MOST_DIMENSIONS:
        raise ValueError(
            f"`proto` must have at most {_MOST_DIMENSIONS} dimensions. Received: {len(shape.dim)}"
        )
    sizes = [dim.size for dim in shape.dim]
    if shape.unknown_rank or (sizes and min(sizes) < 0):
        raise ValueError(f"`proto` must have a full shape. Received: {sizes}")
    count = math.prod(sizes)
    if math.prod(filter(None, sizes)) > _MOST_ELEMENTS:
        raise ValueError(f"`proto` must have a shape that arrays can have. Received: {sizes}")
    number = proto.dtype
    if number == _STRING:
        if count * STRING_BYTES > max_bytes:
            raise ValueError(f"`proto` must be within {max_bytes} bytes. Received: shape {sizes}")
        values = proto.string_val
        if len(values) == count and not proto.tensor_content:
            if len(sizes) == 1:
                return _constant(list(values), tf.string)
            array = np.empty(count, object)
            array[:] = values
            return _constant(array.reshape(sizes), tf.string)
        return _parsed(proto, tf.string)
    if number not in _DTYPES:
        return _uncommon(proto, count, max_bytes)
    dtype, numpy_dtype, field = _DTYPES[number]
    if count * numpy_dtype.itemsize > max_bytes:
        raise ValueError(f"`proto` must be within {max_bytes} bytes. Received: shape {sizes}")
    content = proto.tensor_content
    if content and count:
        if len(content) != count * numpy_dtype.itemsize:
            raise ValueError(
                f"`proto` must have {count * numpy_dtype.itemsize} bytes of content. "
                f"Received: {len(content)} bytes for shape {sizes}"
            )
        array = np.frombuffer(content, numpy_dtype)
    elif field in ("float_val", "double_val"):
        values = getattr(proto, field)
        if len(values) != count or not count:
            return _parsed(proto, dtype)
        if count <= FEW:
            array = np.array(values, numpy_dtype)
        else:
            array = _packed(proto.SerializeToString(), _NUMBERS[field], numpy_dtype)
            if len(array) != count:  # the message was written in an unusual way
                return _parsed(proto, dtype)
    else:
        return _parsed(proto, dtype)
    return _constant(array.reshape(sizes), dtype)


def _constant(values: Any, dtype: tf.DType) -> tf.Tensor:
    return convert_to_eager_tensor(values, context.context(), dtype)


def _uncommon(proto: Any, count: int, max_bytes: int) -> tf.Tensor:
    try:
        dtype = tf.as_dtype(proto.dtype)
    except TypeError as error:
        raise ValueError(f"`proto` must have a dtype. Received: {proto.dtype=}") from error
    size = count * max(dtype.size or 1, 1)
    if dtype in _REFUSED or proto.dtype > 100 or size > max_bytes:
        raise ValueError(f"`proto` must be a tensor. Received: {proto.dtype=}, {size} bytes")
    return _parsed(proto, dtype)


def _parsed(proto: Any, dtype: tf.DType) -> tf.Tensor:
    """By TensorFlow's own reader, in C++: the rules are its rules."""
    try:
        return tf.io.parse_tensor(proto.SerializeToString(), dtype)
    except tf.errors.InvalidArgumentError as error:
        raise ValueError(f"`proto` must be a tensor. Received: {proto.dtype=}") from error


def _packed(message: bytes, number: int, dtype: np.dtype) -> np.ndarray:
    """The values of a packed field in a serialized message, or none: a view, not a list.

    Goes over the top-level fields as Protocol Buffers write them: a key (number, kind), then a
    varint, eight bytes, a length and so many bytes, or four bytes.
    """
    position = 0
    while position < len(message):
        key, position = _read_varint(message, position)
        kind = key & 7
        if kind == 2:
            size, position = _read_varint(message, position)
            if key >> 3 == number:
                return np.frombuffer(message, dtype, size // dtype.itemsize, position)
            position += size
        elif kind == 0:
            _value, position = _read_varint(message, position)
        else:
            position += 8 if kind == 1 else 4
    return np.empty(0, dtype)


def to_proto(tensor: Any, proto: Any = None, as_content: bool = False) -> Any:
    """Writes a tensor into the typed `*_val` field of a `TensorProto`, one value an element.

    Not into `tensor_content`, which `tf.make_tensor_proto` prefers: some clients do not read it.

    Args:
        tensor: an array or a tensor.
        proto: an empty `TensorProto` to fill. Default: a new one.
        as_content: bool. Use `tensor_content` all the same; strings have no such form.

    Example:
    >>> list(to_proto(tf.constant([1.5, 2.0])).float_val)
    [1.5, 2.0]
    """
    array = as_array(tensor)
    proto = TensorProto() if proto is None else proto
    dtype = _STRING if array.dtype == object else _ENUMS.get(array.dtype)
    if dtype is None:  # quantized types have no better place
        proto.CopyFrom(tf.make_tensor_proto(array))
        return proto
    message = _header(dtype, array.shape)
    if dtype == _STRING:
        proto.MergeFromString(message)
        proto.string_val.extend(array.reshape(-1).tolist())
        return proto
    if as_content:
        field, content = "tensor_content", array.tobytes()
    else:
        name, field = array.dtype.name, _DTYPES[dtype][2]
        if name in _FIXED:
            content = array.tobytes()
        else:
            flat = array.reshape(-1)
            content = _varints(flat.view(np.uint16) if field == "half_val" else flat)
    if content:
        key = _varint(_NUMBERS[field] << 3 | 2)
        message = b"".join((message, key, _varint(len(content)), content))
    proto.MergeFromString(message)
    return proto


def as_array(tensor: Any) -> np.ndarray:
    """A view, where `np.asarray` of a tensor takes long to find that it can have one.

    Example:
    >>> as_array(tf.constant([b"a", b"bc"]))
    array([b'a', b'bc'], dtype=object)
    """
    array = tensor.__array__() if isinstance(tensor, tf.Tensor) else np.asarray(tensor)
    if isinstance(array, np.ndarray):
        return array if array.dtype.kind not in "SU" else np.asarray(array, object)
    scalar = np.empty((), object if isinstance(array, bytes) else array.dtype)
    scalar[()] = array
    return scalar


@lru_cache(1024)
def _header(dtype: int, shape: tuple[int, ...]) -> bytes:
    """A `TensorProto` without values, serialized."""
    proto = TensorProto(dtype=dtype)
    for size in shape:
        proto.tensor_shape.dim.add(size=size)
    proto.tensor_shape.SetInParent()
    return proto.SerializeToString()


def _varints(values: np.ndarray) -> bytes:
    """Integers (N,) as variable-length integers: seven bits a byte, lowest first."""
    # Negative ones are written as the 64-bit pattern, ten bytes long.
    values = values.astype(np.int64).view(np.uint64) if values.dtype != np.uint64 else values
    if not len(values) or values.max() < 0x80:
        return values.astype(np.uint8).tobytes()
    lengths = np.ones(len(values), np.int64)
    for shift in range(7, 64, 7):
        longer = values >= np.uint64(1) << np.uint64(shift)
        if not longer.any():
            break
        lengths += longer
    ends = np.cumsum(lengths)
    content = np.empty(ends[-1], np.uint8)
    starts = ends - lengths
    for index in range(int(lengths.max())):
        chosen = lengths > index
        bits = (values[chosen] >> np.uint64(7 * index)).astype(np.uint8) & 0x7F
        more = (lengths[chosen] > index + 1).astype(np.uint8) << 7
        content[starts[chosen] + index] = bits | more
    return content.tobytes()


def _varint(value: int) -> bytes:
    """Protocol Buffers' variable-length integer: seven bits a byte, lowest first."""
    content = bytearray()
    while value > 0x7F:
        content.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes(content + bytes([value]))


def _read_varint(content: bytes, position: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = content[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
        shift += 7


def shape_text(shape: Any) -> str:
    """A shape as TensorFlow's C++ side writes it.

    Example:
    >>> shape_text((2, 3))
    '[2,3]'
    """
    return "[" + ",".join(str(size) for size in shape) + "]"


def type_name(dtype: tf.DType) -> str:
    """A dtype by the name that messages give it.

    Example:
    >>> type_name(tf.float64)
    'DT_DOUBLE'
    """
    enum = TensorProto.DESCRIPTOR.fields_by_name["dtype"].enum_type
    return enum.values_by_number[dtype.as_datatype_enum].name
