"""The command line of the server, in TensorFlow Serving's syntax."""

from __future__ import annotations

import difflib
import logging
from collections.abc import Sequence
from dataclasses import MISSING, Field, fields
from typing import Any

from .options import ServerOptions

LOGGER = logging.getLogger(__name__)
_FLAGS: dict[str, Field] = {flag.name: flag for flag in fields(ServerOptions)}
_TRUTH = {"true": True, "1": True, "false": False, "0": False}


def parse_flags(arguments: Sequence[str], **defaults: Any) -> ServerOptions:
    """Reads `--name=value`; `--name value` is understood, too, and a boolean may stand bare.

    An unknown flag is reported and ignored, as TensorFlow Serving does; a flag that has no effect
    in this server is reported. The first word that is no flag is `directory`.

    Args:
        arguments: the words of the command line, without the program.
        defaults: values, by flag, where the command line gives none.

    Raises:
        ValueError: if a value is not of its flag's type, or is missing.

    Example:
    >>> options = parse_flags(["--rest_api_port=8501", "--enable_batching"], port=9000)
    >>> options.port, options.rest_api_port, options.enable_batching
    (9000, 8501, True)
    """
    values = dict(defaults)
    words = list(arguments)
    while words:
        word = words.pop(0)
        if not word.startswith("-") and not values.get("directory"):
            values["directory"] = word
            continue
        name, equals, text = word.removeprefix("--").partition("=")
        flag = _FLAGS.get(name) if word.startswith("--") else None
        if flag is None:
            near = difflib.get_close_matches(name, _FLAGS, n=1)
            hint = f"; did you mean --{near[0]}?" if near else ""
            LOGGER.warning("unknown argument, ignored: %s%s", word, hint)
            continue
        if not equals:
            if flag.type == "bool":
                text = "true"
            elif words:
                text = words.pop(0)
            else:
                raise ValueError(f"`--{name}` must have a value. Received: --{name}")
        values[name] = _value(flag, text)
        if not flag.metadata["effect"]:
            LOGGER.warning("--%s has no effect here. %s", name, flag.metadata["help"])
    return ServerOptions(**values)


def flag_help() -> list[tuple[str, list[tuple[str, str]]]]:
    """The flags and what they do, for a help page: by group, as (`--name=default`, text).

    Example:
    >>> group, rows = flag_help()[0]
    >>> group, rows[0]
    ("TensorFlow Serving's", ('--port=8500', 'Port of gRPC; 0: none, if there is a socket.'))
    """
    groups: dict[str, list[tuple[str, str]]] = {}
    for flag in _FLAGS.values():
        default = "" if flag.default is MISSING else flag.default
        shown = str(default).lower() if flag.type == "bool" else str(default)
        rows = groups.setdefault(flag.metadata["group"], [])
        rows.append((f"--{flag.name}={shown}", flag.metadata["help"]))
    return list(groups.items())


def _value(flag: Field, text: str) -> Any:
    kind = str(flag.type)
    try:
        if kind == "bool":
            return _TRUTH[text.lower()]
        return {"int": int, "float": float, "str": str}[kind](text)
    except (KeyError, ValueError) as error:
        what = {"bool": "true or false", "int": "an integer", "float": "a number"}[kind]
        raise ValueError(
            f"`--{flag.name}` must be {what}. Received: --{flag.name}={text}"
        ) from error
