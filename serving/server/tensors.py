"""Tensors on the wire: `TensorProto` to tensor and back, as TensorFlow Serving does it."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import tensorflow as tf

from ..protos import TensorProto

# The values of one request cannot be more than this: gRPC's own limit on a message. A shape with
# few values may claim any size, since the last value is repeated.
MAX_BYTES = 2**31 - 1

_FIELDS = {  # typed fields of TensorProto by dtype
    **dict.fromkeys(("int32", "int16", "int8", "uint16", "uint8"), "int_val"),
    **dict.fromkeys(("float16", "bfloat16"), "half_val"),
    "int64": "int64_val",
    "uint32": "uint32_val",
    "uint64": "uint64_val",
    "bool": "bool_val",
}
# Field numbers of those that are packed as fixed-size little-endian values, which is numpy's
# layout: a copy of memory instead of a Python object per element.
_PACKED = {"float32": 5, "float64": 6, "complex64": 9, "complex128": 12}


def from_proto(proto: Any) -> tf.Tensor:
    """Reads a `TensorProto`; fewer values than elements repeat the last one.

    Raises:
        ValueError: if the values do not fit the shape or the dtype is none.

    Example:
    >>> from_proto(TensorProto(dtype=1, float_val=[1, 2], tensor_shape={"dim": [{"size": 3}]}))
    <tf.Tensor: shape=(3,), dtype=float32, numpy=array([1., 2., 2.], dtype=float32)>
    """
    sizes = [dim.size for dim in proto.tensor_shape.dim]
    if proto.tensor_shape.unknown_rank or min(sizes, default=0) < 0:
        raise ValueError("`proto` must have a full shape. Received: " + str(sizes))
    try:
        dtype = tf.as_dtype(proto.dtype)
        if math.prod(sizes) * max(dtype.size, 1) > MAX_BYTES:
            raise ValueError(f"`proto` must be smaller than 2 GiB. Received: shape {sizes}")
        # TensorFlow's own reader, in C++: the rules are its rules.
        return tf.io.parse_tensor(proto.SerializeToString(), dtype)
    except (TypeError, tf.errors.InvalidArgumentError) as error:
        raise ValueError(f"`proto` must be a tensor. Received: {proto.dtype=}") from error


def to_proto(tensor: Any) -> Any:
    """Writes a tensor into the typed `*_val` field of a `TensorProto`, one value an element.

    Not `tensor_content`, which `tf.make_tensor_proto` prefers: some clients do not read it.

    Example:
    >>> list(to_proto(tf.constant([1.5, 2.0])).float_val)
    [1.5, 2.0]
    """
    array = np.asarray(tensor)
    dtype = tf.as_dtype(array.dtype) if array.dtype != object else tf.string
    name = dtype.name
    if name not in _FIELDS and name not in _PACKED and dtype != tf.string:
        return tf.make_tensor_proto(array, dtype)  # quantized types have no better place
    proto = TensorProto(dtype=dtype.as_datatype_enum)
    for size in array.shape:
        proto.tensor_shape.dim.add(size=size)
    flat = array.reshape(-1)
    if dtype == tf.string:
        proto.string_val.extend(flat.tolist())
    elif name in _PACKED:
        content = flat.astype(array.dtype.newbyteorder("<"), copy=False).tobytes()
        key = _PACKED[name] << 3 | 2
        proto.MergeFromString(bytes([key]) + _varint(len(content)) + content)
    else:
        if _FIELDS[name] == "half_val":
            flat = flat.view(np.uint16)
        getattr(proto, _FIELDS[name]).extend(flat.tolist())
    return proto


def _varint(value: int) -> bytes:
    """Protocol Buffers' variable-length integer: seven bits a byte, lowest first."""
    content = bytearray()
    while value > 0x7F:
        content.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes(content + bytes([value]))
