"""numpy arrays to and from TensorFlow's `TensorProto`, without TensorFlow."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Container, Mapping
from typing import Any

import numpy as np

from .client_protos import TensorProto

# TensorFlow's DataType: number, name here, field of the proto that holds values one by one.
_TYPES = (
    (1, "float32", "float_val"),
    (2, "float64", "double_val"),
    (3, "int32", "int_val"),
    (4, "uint8", "int_val"),
    (5, "int16", "int_val"),
    (6, "int8", "int_val"),
    (7, "string", "string_val"),
    (8, "complex64", "scomplex_val"),
    (9, "int64", "int64_val"),
    (10, "bool", "bool_val"),
    (14, "bfloat16", "half_val"),
    (17, "uint16", "int_val"),
    (18, "complex128", "dcomplex_val"),
    (19, "float16", "half_val"),
    (22, "uint32", "uint32_val"),
    (23, "uint64", "uint64_val"),
)
MAX_RANK = 64  # of numpy's arrays
_NAMES = {number: name for number, name, _ in _TYPES}
_NUMBERS = {name: number for number, name, _ in _TYPES}
_FIELDS = {name: field for _, name, field in _TYPES}


@dataclasses.dataclass(frozen=True)
class TensorInfo:
    """One input or output of a signature.

    Args:
        dtype: str. As numpy calls it, or "string".
        shape: tuple of int, None where a size is free; None if even the rank is.
        optional: bool. An input that the signature has a default value for.

    Example:
    >>> TensorInfo("int32", (None, 128))
    TensorInfo(dtype='int32', shape=(None, 128), optional=False)
    """

    dtype: str
    shape: tuple[int | None, ...] | None
    optional: bool = False


def dtype_name(number: int) -> str:
    """The name of one of TensorFlow's DataType numbers; "" of one that has no tensors.

    Example:
    >>> dtype_name(7), dtype_name(0)
    ('string', '')
    """
    return _NAMES.get(number, "")


def numpy_dtype(name: str) -> np.dtype:
    """The numpy dtype of a tensor's; strings are objects (bytes)."""
    if name == "bfloat16":
        import ml_dtypes  # numpy has none of its own

        return np.dtype(ml_dtypes.bfloat16)
    return np.dtype(object if name == "string" else name)


def as_arrays(inputs: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Inputs as arrays: what has a dtype keeps it; Python's numbers become int32 and float32.

    Raises:
        ValueError: naming the input that is no rectangular array of numbers, bools or strings.

    Example:
    >>> arrays = as_arrays({"sentences": ["é", b"x"], "lengths": [1, 2]})
    >>> arrays["sentences"].tolist(), arrays["lengths"].dtype
    ([b'\\xc3\\xa9', b'x'], dtype('int32'))
    """
    return {name: _as_array(name, value) for name, value in inputs.items()}


def untyped_names(inputs: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> frozenset[str]:
    """The inputs whose values say nothing of their dtype: empty lists.

    Args:
        inputs: dict of values.
        arrays: what `as_arrays` made of them.

    Example:
    >>> inputs = {"sentences": [], "lengths": np.zeros(0, np.int32)}
    >>> sorted(untyped_names(inputs, as_arrays(inputs)))
    ['sentences']
    """
    return frozenset(n for n, a in arrays.items() if not a.size and not hasattr(inputs[n], "dtype"))


def with_dtypes(
    arrays: Mapping[str, np.ndarray], names: Container[str], infos: Mapping[str, TensorInfo]
) -> dict[str, np.ndarray]:
    """The arrays, some of them with the dtype that their input has.

    Example:
    >>> infos = {"sentences": TensorInfo("string", (None,))}
    >>> with_dtypes({"sentences": np.zeros(0)}, {"sentences"}, infos)["sentences"].dtype
    dtype('O')
    """
    return {
        name: array.astype(numpy_dtype(infos[name].dtype))
        if name in names and name in infos and infos[name].dtype in _NUMBERS
        else array
        for name, array in arrays.items()
    }


def to_proto(array: np.ndarray) -> Any:
    """An array as a TensorProto.

    Example:
    >>> from_proto(to_proto(np.array([[1.5, 2.0]]))).tolist()
    [[1.5, 2.0]]
    """
    strings = array.dtype == object
    proto = TensorProto(dtype=_NUMBERS["string" if strings else array.dtype.name])
    for size in array.shape:
        proto.tensor_shape.dim.add(size=size)
    if strings:
        proto.string_val.extend(array.ravel().tolist())
    else:
        little = array.astype(array.dtype.newbyteorder("<"), copy=False)
        proto.tensor_content = little.tobytes()
    return proto


def from_proto(proto: Any) -> np.ndarray:
    """A TensorProto as an array, of either encoding that servers use.

    Where there are fewer values than elements the last one repeats; without any, all are zero.

    Raises:
        ValueError: if it is no tensor of a known dtype, or its content does not fit its shape.
    """
    name = dtype_name(proto.dtype)
    if not name:
        raise ValueError(f"tensor of unknown dtype {proto.dtype}")
    if len(proto.tensor_shape.dim) > MAX_RANK:
        raise ValueError(f"tensor of {len(proto.tensor_shape.dim)} dimensions")
    dtype = numpy_dtype(name)
    shape = tuple(dim.size for dim in proto.tensor_shape.dim)
    if proto.tensor_content and name != "string":
        return np.frombuffer(proto.tensor_content, dtype.newbyteorder("<")).reshape(shape).copy()
    values: Any = list(getattr(proto, _FIELDS[name]))
    if name in ("float16", "bfloat16"):
        values = np.array(values, np.uint16).view(dtype)
    elif name in ("complex64", "complex128"):
        values = np.array(values[0::2], dtype) + 1j * np.array(values[1::2], dtype)
    flat = np.empty(len(values), dtype)
    flat[:] = values
    size = math.prod(shape)
    if len(flat) > size:
        raise ValueError(f"{len(flat)} values for a tensor of shape {shape}")
    if len(flat) < size:
        last = flat[-1] if len(flat) else (b"" if name == "string" else dtype.type(0))
        rest = np.empty(size - len(flat), dtype)
        rest[:] = last
        flat = np.concatenate([flat, rest])
    return flat.reshape(shape)


def _as_array(name: str, value: Any) -> np.ndarray:
    typed = hasattr(value, "dtype")
    try:
        array = np.asarray(value)
    except UnicodeDecodeError:  # of bytes beside str, which numpy takes for ASCII
        array = np.array(value, object)
    except ValueError as error:  # numpy's word for rows of different lengths
        raise ValueError(
            f"`{name}` must be rectangular; pad rows of different lengths. Received: {error}"
        ) from error
    if array.dtype.kind in "SUO":
        # Not from numpy's own string dtypes: they cut zeros off bytes and make text of numbers.
        return _as_bytes(name, array if typed else np.array(value, object))
    if not typed and array.dtype == np.float64:
        array = array.astype(np.float32)
    if not typed and array.dtype == np.int64:
        small = array.astype(np.int32)
        array = small if np.array_equal(small, array) else array
    if array.dtype.name not in _NUMBERS:
        raise ValueError(
            f"`{name}` must be numbers, bools or strings. Received: dtype={array.dtype}"
        )
    return array


def _as_bytes(name: str, array: np.ndarray) -> np.ndarray:
    flat = np.empty(array.size, object)
    for i, item in enumerate(array.ravel().tolist()):
        if not isinstance(item, (str, bytes)):
            raise ValueError(
                f"`{name}` must be numbers, bools or strings, of one kind and in rows of one "
                f"length. Received: {item!r} of class {type(item).__name__}"
            )
        flat[i] = item.encode() if isinstance(item, str) else item
    return flat.reshape(array.shape)
