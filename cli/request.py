"""What a command line says of a request's inputs, as the signature wants them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..serving.client_tensors import TensorInfo, numpy_dtype

_TRUTH = {"true": True, "1": True, "false": False, "0": False}


def read_inputs(
    signature: str, infos: Mapping[str, TensorInfo], texts: Sequence[str], given: Sequence[str]
) -> dict[str, Any]:
    """The inputs of a request.

    Args:
        signature: str. Its name, for messages.
        infos: the inputs of the signature.
        texts: values of the only string input that is required and not given otherwise.
        given: "NAME=VALUE", a row each; the value of an input without rows stands alone. A row
            that is a list is written in JSON.

    Raises:
        ValueError: an input is unknown, missing or not of its dtype.

    Example:
    >>> infos = {"prompts": TensorInfo("string", (None,)), "top_k": TensorInfo("int32", (), True)}
    >>> read_inputs("next_word", infos, [], ["prompts=The", "top_k=3"])
    {'prompts': ['The'], 'top_k': array(3, dtype=int32)}
    """
    rule = f"The inputs of `{signature}` are {_described(infos)}."
    values: dict[str, list[str]] = {}
    for each in given:
        name, equals, value = each.partition("=")
        if not equals:
            raise ValueError(f"`--input` must be NAME=VALUE. {rule} Received: --input {each}")
        if name not in infos:
            raise ValueError(f"`--input` must name an input. {rule} Received: --input {each}")
        values.setdefault(name, []).append(value)
    required = [name for name, info in infos.items() if not info.optional and name not in values]
    if texts:
        named = [name for name in required if infos[name].dtype == "string"]
        if len(named) != 1:
            raise ValueError(
                "TEXT needs one string input that is required and not given by `--input`. "
                f"{rule} Received: TEXT for {', '.join(named) or 'none'}"
            )
        values[named[0]] = list(texts)
        required.remove(named[0])
    if required:
        raise ValueError(f"Inputs that have no default must be given. {rule} Missing: {required}")
    return {name: _value(name, infos[name], rows, rule) for name, rows in values.items()}


def _value(name: str, info: TensorInfo, rows: list[str], rule: str) -> Any:
    """The rows of an input as one value."""
    rank = 1 if info.shape is None else len(info.shape)
    if rank == 0 and len(rows) > 1:
        raise ValueError(f"`{name}` must be given once. {rule} Received: {name}={rows}")
    try:
        values = [_cast(row, info.dtype) if rank < 2 else _list(row, info.dtype) for row in rows]
        if info.dtype == "string":
            return values if rank else values[0]
        return np.array(values if rank else values[0], numpy_dtype(info.dtype))
    except (ValueError, TypeError, OverflowError) as error:
        kind = info.dtype if rank < 2 else f"a JSON list of {info.dtype} in each row"
        raise ValueError(f"`{name}` must be {kind}. {rule} Received: {name}={rows}") from error


def _list(text: str, dtype: str) -> list:
    row = json.loads(text)
    if not isinstance(row, list):
        raise ValueError("no list")
    leaves = row
    while leaves and all(isinstance(item, list) for item in leaves):
        leaves = [item for part in leaves for item in part]
    allowed = {"string": {str}, "bool": {bool}}.get(
        dtype, {int} if "int" in dtype else {int, float}
    )
    if not set(map(type, leaves)) <= allowed:
        raise ValueError("another dtype")
    return row


def _cast(text: str, dtype: str) -> Any:
    if dtype == "string":
        return text
    if dtype == "bool":
        if text.lower() not in _TRUTH:
            raise ValueError("no bool")
        return _TRUTH[text.lower()]
    return int(text) if "int" in dtype else float(text)


def _described(infos: Mapping[str, TensorInfo]) -> str:
    """Lists the inputs, those that are required first."""

    def kind(info: TensorInfo) -> str:
        rank = 1 if info.shape is None else len(info.shape)
        rows = ("", "rows of ", "rows of lists of ")[min(rank, 2)]
        return f"{rows}{info.dtype}{', optional' if info.optional else ''}"

    ordered = sorted(infos, key=lambda name: infos[name].optional)
    return ", ".join(f"{name} ({kind(infos[name])})" for name in ordered) or "none"
