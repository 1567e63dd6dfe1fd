"""Tensors on the wire: `TensorProto` to array and back, as TensorFlow Serving does it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import tensorflow as tf

# `tf.constant` takes twice as long to come to this.
from tensorflow.python.eager import context
from tensorflow.python.framework.constant_op import convert_to_eager_tensor

from ..protos import TensorProto
from .wire_format import length_delimited, packed, varints

Inputs = Sequence[np.ndarray | tf.Tensor]  # of a function of the runtime

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
_FIXED = set(map(np.dtype, ("float32", "float64", "complex64", "complex128")))
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


def from_proto(proto: Any, max_bytes: int = MAX_BYTES) -> np.ndarray:
    """Reads a `TensorProto`; fewer values than elements repeat the last one.

    An array, since making a tensor takes longer: what runs with others is made one all at once.

    Args:
        proto: a `TensorProto`.
        max_bytes: int. Largest size of the tensor in memory.

    Raises:
        ValueError: if the values do not fit the shape, the dtype is none or the tensor too large.

    Example:
    >>> from_proto(TensorProto(dtype=1, float_val=[1, 2], tensor_shape={"dim": [{"size": 3}]}))
    array([1., 2., 2.], dtype=float32)
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
            array = np.empty(count, object)
            array[:] = values
            return array.reshape(sizes)
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
            array = packed(proto.SerializeToString(), _NUMBERS[field], numpy_dtype)
            if len(array) != count:  # the message was written in an unusual way
                return _parsed(proto, dtype)
    else:
        return _parsed(proto, dtype)
    return array.reshape(sizes)


def as_tensor(values: Any, dtype: tf.DType) -> tf.Tensor:
    """An array as a tensor of a dtype that is the array's; a tensor as it is.

    Example:
    >>> as_tensor(np.array([1.5], "float32"), tf.float32)
    <tf.Tensor: shape=(1,), dtype=float32, numpy=array([1.5], dtype=float32)>
    """
    if isinstance(values, tf.Tensor):
        return values
    return convert_to_eager_tensor(values, context.context(), dtype)


def _uncommon(proto: Any, count: int, max_bytes: int) -> np.ndarray:
    try:
        dtype = tf.as_dtype(proto.dtype)
    except TypeError as error:
        raise ValueError(f"`proto` must have a dtype. Received: {proto.dtype=}") from error
    size = count * max(dtype.size or 1, 1)
    if dtype in _REFUSED or proto.dtype > 100 or size > max_bytes:
        raise ValueError(f"`proto` must be a tensor. Received: {proto.dtype=}, {size} bytes")
    array = _parsed(proto, dtype)
    # What `tf.Tensor` hands out of quantized numbers are integers.
    return array.view(dtype.as_numpy_dtype) if dtype.is_quantized else array


def _parsed(proto: Any, dtype: tf.DType) -> np.ndarray:
    """By TensorFlow's own reader, in C++: the rules are its rules."""
    try:
        return as_array(tf.io.parse_tensor(proto.SerializeToString(), dtype))
    except tf.errors.InvalidArgumentError as error:
        raise ValueError(f"`proto` must be a tensor. Received: {proto.dtype=}") from error


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
    proto = TensorProto() if proto is None else proto
    proto.MergeFromString(b"".join(proto_parts(tensor, as_content)))
    return proto


def proto_parts(tensor: Any, as_content: bool = False) -> list[Any]:
    """The `TensorProto` of `to_proto` as it is sent, in pieces: bytes, and the array itself."""
    array = as_array(tensor)
    dtype = _STRING if array.dtype == object else _ENUMS.get(array.dtype)
    if dtype is None:  # quantized types have no better place
        return [tf.make_tensor_proto(array).SerializeToString()]
    header = _header(dtype, array.shape)
    if dtype == _STRING:
        return [header, TensorProto(string_val=array.reshape(-1).tolist()).SerializeToString()]
    if not array.size:
        return [header]
    field = "tensor_content" if as_content else _DTYPES[dtype][2]
    number = _NUMBERS[field]
    if array.dtype in _FIXED:
        return [header, length_delimited(number, array.nbytes), np.ascontiguousarray(array)]
    if as_content:
        content = array.tobytes()
    else:
        flat = array.reshape(-1)
        content = varints(flat.view(np.uint16) if field == "half_val" else flat)
    return [header, length_delimited(number, len(content)), content]


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
