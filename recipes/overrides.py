"""Typed values in trees of frozen dataclasses, by dotted names."""

from __future__ import annotations

import dataclasses
import difflib
import json
import types
import typing
from collections.abc import Iterable, Mapping
from typing import Any

BOOLEANS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
NOTHING = ("none", "null", "")  # how an optional value is switched off on the command line


def nearest(word: str, valid: Iterable[str]) -> str:
    """Returns " (did you mean `…`?)" with the valid word nearest to `word`, or nothing where none
    is near.
    """
    found = difflib.get_close_matches(word, list(valid), n=1, cutoff=0.5)
    return f" (did you mean `{found[0]}`?)" if found else ""


def set_leaf(node: Any, key: str, path: list[str], value: Any, from_text: bool) -> Any:
    """Returns `node` with the leaf at `path` replaced; `key` is the whole dotted name, for
    messages.
    """
    hints = typing.get_type_hints(type(node))
    name, rest = path[0], path[1:]
    prefix = key[: len(key) - len(".".join(path))]
    if name not in hints:
        names = [prefix + name for name in hints]
        # A leaf of the wrong branch (`steps` for `trainer.steps`) is the commonest slip.
        names += [name for name in leaves(node, prefix) if name not in names]
        same_leaf = [candidate for candidate in names if candidate.split(".")[-1] == path[-1]]
        hint = f" (did you mean `{same_leaf[0]}`?)" if same_leaf else nearest(key, names)
        raise ValueError(f"Unknown key `{key}`{hint or '; valid: ' + ', '.join(names) + '.'}")
    part, hint = getattr(node, name), hints[name]
    if dataclasses.is_dataclass(part):
        if not rest:
            raise ValueError(
                f"`{key}` must be a leaf of the configuration, such as "
                f"`{leaves(part, key + '.')[0]}`. "
                f"Received: {key}={value!r}."
            )
        return dataclasses.replace(node, **{name: set_leaf(part, key, rest, value, from_text)})
    if typing.get_origin(hint) is not None and isinstance(part, Mapping) and len(rest) == 1:
        entry = convert(key, value, typing.get_args(hint)[1], from_text)
        return dataclasses.replace(node, **{name: {**part, rest[0]: entry}})
    if rest:
        raise ValueError(f"Unknown key `{key}`; `{prefix}{name}` has no parts.")
    return dataclasses.replace(node, **{name: convert(key, value, hint, from_text)})


def leaves(config: Any, prefix: str = "") -> list[str]:
    """Returns the dotted names of all leaves of a configuration, in order."""
    names = []
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if dataclasses.is_dataclass(value):
            names += leaves(value, f"{prefix}{field.name}.")
        else:
            names.append(prefix + field.name)
    return names


def convert(key: str, value: Any, hint: Any, from_text: bool) -> Any:
    """Converts a text or a Python value to type `hint`; the error names key, type and value."""
    try:
        return _parse(value, hint) if from_text else _check(value, hint)
    except ValueError as error:
        raise ValueError(
            f"`{key}` must be {_describe(hint)}. Received: {key}={value!r}."
        ) from error


def _parse(text: str, hint: Any) -> Any:
    """Reads a value of type `hint` from the text of an override."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if hint is Any:
        return text
    if origin in (typing.Union, types.UnionType):
        if type(None) in arguments and text.lower() in NOTHING:
            return None
        if list in arguments and text.lstrip().startswith("["):
            return _parse(text, list)  # a list that is cut off is no text
        for argument in arguments:
            if argument is not type(None):
                try:
                    return _parse(text, argument)
                except ValueError:
                    continue
        raise ValueError(text)
    if origin is tuple:
        parts = [part.strip() for part in text.strip().strip("()[]").split(",") if part.strip()]
        return tuple(
            _parse(part, kind) for part, kind in zip(parts, _kinds(arguments, parts), strict=True)
        )
    if hint is bool:
        if text.lower() not in BOOLEANS:
            raise ValueError(text)
        return BOOLEANS[text.lower()]
    if hint is int:
        try:
            return int(text.replace("_", ""))
        except ValueError:
            number = float(text)  # 2e3
            if not number.is_integer():
                raise
            return int(number)
    if hint is float:
        return float(text)
    if hint is list:
        value = json.loads(text)
        if not isinstance(value, list):
            raise ValueError(text)
        return value
    if hint is str:
        return text
    raise ValueError(text)  # a mapping: set by its entries


def _check(value: Any, hint: Any) -> Any:
    """Checks a Python value, from a variant or from JSON, against type `hint`; lists become tuples,
    whole numbers floats.
    """
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if hint is Any:
        return value
    if origin in (typing.Union, types.UnionType):
        for argument in arguments:
            try:
                return _check(value, argument)
            except ValueError:
                continue
        raise ValueError(value)
    if origin is tuple and isinstance(value, (list, tuple)):
        kinds = _kinds(arguments, value)
        return tuple(_check(part, kind) for part, kind in zip(value, kinds, strict=True))
    if isinstance(value, Mapping) and origin is not None and origin is not tuple:
        return {name: _check(part, arguments[1]) for name, part in value.items()}
    if hint is float and isinstance(value, (int, float)) and not isinstance(value, bool):
        return float(value)
    if hint is int and isinstance(value, bool):
        raise ValueError(value)
    if isinstance(hint, type) and isinstance(value, hint):
        return value
    raise ValueError(value)


def _kinds(arguments: tuple, values: Any) -> list:
    """Returns the type of each element of a tuple: `tuple[int, ...]` or `tuple[int, str]`."""
    if len(arguments) == 2 and arguments[1] is Ellipsis:
        return [arguments[0]] * len(values)
    return list(arguments)


def _describe(hint: Any) -> str:
    """Returns how a message calls a type: `int`, `float or None`, `tuple[int, ...]`."""
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        return " or ".join(_describe(argument) for argument in typing.get_args(hint))
    if hint is type(None):
        return "None"
    return hint.__name__ if typing.get_origin(hint) is None else str(hint)
