"""The JSON object of a request's body, with an exact word on what is wrong with it."""

from __future__ import annotations

import gc
import json
from typing import Any

import numpy as np

from ..errors import invalid_argument

MAX_DEPTH = 100
_MOST_DIGITS = 4000  # Python reads no integer of more than 4300


def _integer(text: str) -> int | float:
    """A whole number; one that no tensor can hold as the infinity that it is to them."""
    return int(text) if len(text) <= _MOST_DIGITS else float(text)


_DECODER = json.JSONDecoder()
_DECODER_OF_LONG_INTEGERS = json.JSONDecoder(parse_int=_integer)  # twice as slow
_ENCODER = json.JSONEncoder(ensure_ascii=False)
_ALL_BUT_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
_STEPS = np.zeros(256, np.int64)
_STEPS[list(b"[{")], _STEPS[list(b"]}")] = 1, -1


def parse(body: bytes, max_depth: int = MAX_DEPTH) -> dict[str, Any]:
    """Reads a request's body, a JSON object. Text after it is ignored, as TensorFlow Serving does.

    `NaN`, `Infinity` and `-Infinity` are numbers.

    Raises:
        ServingError: INVALID_ARGUMENT with the place of the mistake, as a number of bytes.

    Example:
    >>> parse(b'{"instances": [1, NaN]} and more')
    {'instances': [1, nan]}
    """
    # Parsing recurses: an attacker's brackets must not decide how deep.
    if depth(body) > max_depth:
        raise invalid_argument(f"JSON Parse error: Nested deeper than {max_depth} levels")
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise invalid_argument(
            f"JSON Parse error: Invalid encoding at offset: {error.start}"
        ) from error
    start = len(text) - len(text.lstrip(" \t\r\n"))
    if start == len(text):
        raise invalid_argument("JSON Parse error: The document is empty")
    try:
        document = _decoded(text, start)
    except json.JSONDecodeError as error:
        offset = len(text[: error.pos].encode())
        raise invalid_argument(f"JSON Parse error: {error.msg} at offset: {offset}") from error
    except RecursionError as error:
        raise invalid_argument(f"JSON Parse error: {error} at offset: {start}") from error
    if not isinstance(document, dict):
        raise invalid_argument(f"JSON Value: {preview(document)} Is not object")
    return document


def _decoded(text: str, start: int) -> Any:
    # Each list counts as one more object to look for cycles among, and there are none: 30 MB of
    # empty lists would be searched for six seconds, in which nobody else is answered.
    collecting = gc.isenabled()
    gc.disable()
    try:
        return _DECODER.raw_decode(text, start)[0]
    except json.JSONDecodeError:
        raise
    except ValueError:  # an integer of more digits than Python reads
        return _DECODER_OF_LONG_INTEGERS.raw_decode(text, start)[0]
    finally:
        if collecting:
            gc.enable()


def depth(body: bytes) -> int:
    """How deep lists and objects are nested; brackets in strings do not count.

    Example:
    >>> depth(b'{"a": [[1], "[[["]}')
    3
    """
    if body.count(b"[") + body.count(b"{") <= 1:
        return 1
    if b'"' in body:
        if b"\\" in body:
            body = body.replace(b"\\\\", b"").replace(b'\\"', b"")
        body = b"".join(body.split(b'"')[::2])  # every other piece is a string
    brackets = np.frombuffer(body.translate(None, _ALL_BUT_BRACKETS), np.uint8)
    return int(np.cumsum(_STEPS[brackets]).max(initial=0))


def is_base64(value: Any) -> bool:
    """Whether a value is a `{"b64": "..."}` object, which stands for bytes."""
    return isinstance(value, dict) and set(value) == {"b64"} and isinstance(value["b64"], str)


def preview(value: Any) -> str:
    """A value in an error's text, cut where it is long.

    Example:
    >>> preview([1] * 1_000_000)[-6:]
    ', 1...'
    """
    text = ""
    if isinstance(value, str):
        value = value[:80]  # a string is one piece to the encoder
    for piece in _ENCODER.iterencode(value):
        text += piece
        if len(text) > 80:
            return text[:77] + "..."
    return text
