"""Tensors in JSON, by the rules of TensorFlow Serving's REST API."""

from __future__ import annotations

import base64
import binascii
from itertools import chain
from typing import Any

import grpc
import numpy as np
import tensorflow as tf

from ..errors import ServingError, invalid_argument
from .json_document import is_base64, preview

MAX_RANK = 64  # of numpy's arrays
_INTEGERS = {  # the range of values that are taken for a dtype
    **dict.fromkeys(("int8", "int16", "int32", "uint8"), (-(2**31), 2**31 - 1)),
    "int64": (-(2**63), 2**63 - 1),
    "uint32": (0, 2**32 - 1),
    "uint64": (0, 2**64 - 1),
}
_FLOATS = {"float32": (6, 9), "float64": (6, 17)}  # significant digits: tried first, enough


def to_array(value: Any, dtype: tf.DType) -> np.ndarray:
    """Reads nested lists of one dtype.

    Raises:
        ServingError: INVALID_ARGUMENT if the lists are not rectangular or a value does not fit;
            UNIMPLEMENTED for a dtype that JSON has no form for.

    Example:
    >>> to_array([[1, 2.5]], tf.float32)
    array([[1. , 2.5]], dtype=float32)
    """
    shape = []
    leaves = [value]
    while leaves and isinstance(leaves[0], list):
        size = len(leaves[0])
        # Whole levels at once, in C; only a mistake is looked for one by one.
        if set(map(type, leaves)) != {list} or set(map(len, leaves)) != {size}:
            raise _unlike(leaves, size, len(shape))
        shape.append(size)
        leaves = list(chain.from_iterable(leaves))
    if len(shape) > MAX_RANK:
        raise invalid_argument(f"Encountered list at unexpected level: {MAX_RANK}")
    return _leaves(leaves, dtype).reshape(shape)


def _unlike(leaves: list, size: int, level: int) -> ServingError:
    for item in leaves:
        if not isinstance(item, list):
            return invalid_argument(f"Expecting list but got value: {preview(item)}")
        if len(item) != size:
            break
    return invalid_argument(
        f"Encountered list at unexpected size: {len(item)} at level: {level} expected size: {size}"
    )


def _leaves(leaves: list, dtype: tf.DType) -> np.ndarray:
    name = dtype.name
    if name == "string":
        array = np.empty(len(leaves), object)
        array[:] = [_bytes(leaf) for leaf in leaves]
        return array
    if name in _FLOATS:
        _check_types(leaves, {int, float}, name)
        try:
            wide = np.array(leaves, "float64")
        except OverflowError:  # an integer of more than 308 digits
            wide = np.array([_float(leaf) for leaf in leaves], "float64")
        # What is too large for a float is infinite there, as in TensorFlow Serving.
        with np.errstate(over="ignore"):
            return wide.astype(name)
    if name in _INTEGERS:
        _check_types(leaves, {int}, name)
        low, high = _INTEGERS[name]
        if leaves and not low <= min(leaves) <= max(leaves) <= high:
            raise _type_error(next(leaf for leaf in leaves if not low <= leaf <= high), name)
        wide = "uint64" if name == "uint64" else "int64"
        return np.array(leaves, wide).astype(name)
    if name == "bool":
        _check_types(leaves, {bool}, name)
        return np.array(leaves, bool)
    raise ServingError(
        grpc.StatusCode.UNIMPLEMENTED,
        f"Conversion of JSON Value to type: {_serving_name(dtype)} not supported",
    )


def _check_types(leaves: list, allowed: set[type], name: str) -> None:
    if set(map(type, leaves)) <= allowed:
        return
    raise _type_error(next(leaf for leaf in leaves if type(leaf) not in allowed), name)


def _type_error(leaf: Any, name: str) -> ServingError:
    name = {"float32": "float", "float64": "double"}.get(name, name)
    return invalid_argument(
        f"JSON Value: {preview(leaf)} Type: {json_type(leaf)} is not of expected type: {name}"
    )


def json_type(value: Any) -> str:
    """What JSON calls a value's type.

    Example:
    >>> json_type(1.5), json_type(None), json_type({})
    ('Number', 'Null', 'Object')
    """
    kinds = {bool: "Bool", str: "String", dict: "Object", list: "Array", type(None): "Null"}
    return kinds.get(type(value), "Number")


def _float(leaf: int | float) -> float:
    try:
        return float(leaf)
    except OverflowError:
        return float("inf") if leaf > 0 else float("-inf")


def _bytes(leaf: Any) -> bytes:
    if isinstance(leaf, str):
        return utf8(leaf)
    if is_base64(leaf):
        return decode_base64(leaf)
    if isinstance(leaf, dict):
        raise invalid_argument(
            f"JSON Value: {preview(leaf)} not formatted correctly for base64 data"
        )
    raise _type_error(leaf, "string")


def utf8(text: str) -> bytes:
    """A string's bytes. Raises `ServingError` for half of a surrogate pair, which has none."""
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        raise invalid_argument(
            "JSON Parse error: The surrogate pair in string is invalid"
        ) from error


def decode_base64(value: dict[str, str]) -> bytes:
    """The bytes of a `{"b64": "..."}` object; padding may be missing.

    Raises:
        ServingError: INVALID_ARGUMENT if it is not the standard alphabet.
    """
    text = value["b64"].rstrip("=")
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError) as error:
        raise invalid_argument(f"JSON Value: {preview(value)} Unable to base64 decode") from error


def to_json(alias: str, array: np.ndarray) -> Any:
    """Writes an array as nested lists, in values that `json.dumps` prints as the API wants them.

    Strings of an output whose alias ends in `_bytes` become `{"b64": ...}`, and so do strings
    that are no UTF-8, which JSON could not hold.

    Raises:
        ServingError: INVALID_ARGUMENT for a dtype that JSON has no form for.

    Example:
    >>> to_json("probability", np.array([0.1, 2], "float32")), to_json("x_bytes", np.array([b"a"]))
    ([0.1, 2.0], [{'b64': 'YQ=='}])
    """
    dtype = tf.string if array.dtype.kind in "OS" else tf.as_dtype(array.dtype)
    if dtype == tf.string:
        flat = [_text(value, alias.endswith("_bytes")) for value in array.reshape(-1).tolist()]
        return _nested(flat, array.shape)
    if dtype.name in _FLOATS:
        return shortest(array).tolist()
    if dtype.name in _INTEGERS or dtype.name == "bool":
        return array.tolist()
    raise invalid_argument(f"Failed to write JSON value for tensor type: {_serving_name(dtype)}")


def _text(value: bytes, as_base64: bool) -> Any:
    if not as_base64:
        try:
            return value.decode("utf-8")
        except UnicodeDecodeError:
            pass  # falls through to base64
    return {"b64": base64.b64encode(value).decode("ascii")}


def _nested(flat: list, shape: tuple[int, ...]) -> Any:
    if not shape:
        return flat[0]
    if len(shape) == 1:
        return flat
    step = len(flat) // shape[0] if shape[0] else 0
    return [_nested(flat[i * step : (i + 1) * step], shape[1:]) for i in range(shape[0])]


def shortest(array: np.ndarray) -> np.ndarray:
    """Floats as the doubles of their decimals: 6 significant digits if these are the same value,
    else 9 (17 for doubles), so 0.1 in float32 is printed as 0.1.

    Example:
    >>> shortest(np.array([0.1, 1 / 3], "float32")).tolist()
    [0.1, 0.333333343]
    """
    few, many = _FLOATS[array.dtype.name]
    exact = array.astype("float64")
    if array.dtype == np.float64:
        return exact  # Python prints the shortest decimal of a double by itself
    short = _rounded(exact, few)
    with np.errstate(over="ignore"):
        same = short.astype(array.dtype) == array
    return np.where(same, short, _rounded(exact, many))


def _rounded(values: np.ndarray, digits: int) -> np.ndarray:
    """Rounds to significant digits; each result is the double nearest to its decimal."""
    result = values.copy()
    finite = np.isfinite(values) & (values != 0)
    chosen = values[finite]
    places = digits - 1 - np.floor(np.log10(np.abs(chosen))).astype(int)
    # Powers of ten up to 22 are exact in a double, so one division rounds once.
    down, up = np.clip(places, 0, 22), np.clip(-places, 0, 22)
    scaled = np.rint(chosen * 10.0**down / 10.0**up) * 10.0**up / 10.0**down
    far = np.abs(places) > 22
    scaled[far] = [float(f"{value:.{digits}g}") for value in chosen[far]]
    result[finite] = scaled
    return result


def _serving_name(dtype: tf.DType) -> str:
    return "half" if dtype == tf.float16 else str(dtype.name)
