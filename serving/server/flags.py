"""The command line of the server, in TensorFlow Serving's syntax."""

from __future__ import annotations

import difflib
import logging
from collections.abc import Sequence
from dataclasses import Field, fields
from typing import Any

from ... import __version__
from .options import ServerOptions

LOGGER = logging.getLogger(__name__)
_FLAGS: dict[str, Field] = {flag.name: flag for flag in fields(ServerOptions)}
_TRUTH = {"true": True, "1": True, "false": False, "0": False}


# With a directory of models, as somebody types it who wants to look at them: REST is on, a port
# of 0 is a free one, and what cannot be loaded is told at once.
_WITH_DIRECTORY = {
    "rest_api_port": 8501,
    "free_ports": True,
    "model_name": "",
    "max_num_load_retries": 0,
}


def parse_flags(arguments: Sequence[str]) -> ServerOptions:
    """Reads `--name=value`; `--name value` is understood, too, and a boolean may stand bare: the
    word after it is its value only if that is true or false.

    An unknown flag is reported and ignored, as TensorFlow Serving does; a flag that has no effect
    in this server is reported. The first word that is no flag is `directory`; with it, REST is on
    by default, port 0 is a free one, and an unknown flag is refused.

    Args:
        arguments: the words of the command line, without the program.

    Raises:
        ValueError: if a value is not of its flag's type, or is missing; or see above.

    Example:
    >>> options = parse_flags(["--port=9000", "--enable_batching"])
    >>> options.port, options.rest_api_port, options.enable_batching
    (9000, 0, True)
    >>> options = parse_flags(["/models", "--port", "9000"])
    >>> options.directory, options.port, options.rest_api_port
    ('/models', 9000, 8501)
    """
    values: dict[str, Any] = {}
    unknown: list[str] = []
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
            unknown.append(f"{word}{hint}")
            continue
        if not equals:
            if flag.type == "bool":
                follows = bool(words) and words[0].lower() in ("true", "false")
                text = words.pop(0) if follows else "true"
            elif words:
                text = words.pop(0)
            else:
                raise ValueError(f"`--{name}` must have a value. Received: --{name}")
        values[name] = _value(flag, text)
        if not flag.metadata["effect"]:
            LOGGER.warning("--%s has no effect here. %s", name, flag.metadata["help"])
    if unknown and values.get("directory"):
        raise ValueError(f"Unknown argument: {unknown[0]}")
    for argument in unknown:
        LOGGER.warning("unknown argument, ignored: %s", argument)
    return ServerOptions(**((_WITH_DIRECTORY if values.get("directory") else {}) | values))


def version_text() -> str:
    """What `--version` prints, with the words of TensorFlow Serving, which scripts look for.

    Example:
    >>> version_text().splitlines()[1].split(": ")[0]
    'TensorFlow Library'
    """
    import tensorflow as tf

    return (
        f"TensorFlow ModelServer: {tf.__version__} (Polysemy {__version__})\n"
        f"TensorFlow Library: {tf.__version__}"
    )


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
