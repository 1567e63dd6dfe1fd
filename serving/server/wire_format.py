"""Protocol Buffers' bytes, where a message of theirs would copy large values."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

_DELIMITED = 2  # the kind of strings, messages and packed values: a length and so many bytes


@lru_cache(1024)
def length_delimited(number: int, size: int) -> bytes:
    """What stands before `size` bytes that are a field's value.

    Example:
    >>> length_delimited(1, 300)
    b'\\n\\xac\\x02'
    """
    return varint(number << 3 | _DELIMITED) + varint(size)


def packed(message: bytes, number: int, dtype: np.dtype) -> np.ndarray:
    """The values of a packed field in a serialized message, or none: a view, not a list.

    Goes over the top-level fields as Protocol Buffers write them: a key (number, kind), then a
    varint, eight bytes, a length and so many bytes, or four bytes.
    """
    position = 0
    while position < len(message):
        key, position = read_varint(message, position)
        kind = key & 7
        if kind == _DELIMITED:
            size, position = read_varint(message, position)
            if key >> 3 == number:
                return np.frombuffer(message, dtype, size // dtype.itemsize, position)
            position += size
        elif kind == 0:
            _value, position = read_varint(message, position)
        else:
            position += 8 if kind == 1 else 4
    return np.empty(0, dtype)


def varints(values: np.ndarray) -> bytes:
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


def varint(value: int) -> bytes:
    """Protocol Buffers' variable-length integer: seven bits a byte, lowest first."""
    content = bytearray()
    while value > 0x7F:
        content.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes(content + bytes([value]))


def read_varint(content: bytes, position: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = content[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
        shift += 7
