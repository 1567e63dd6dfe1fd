"""Which call a method and a path of REST mean."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from ..errors import ServingError, invalid_argument
from ..protos import ModelSpec

_MODEL = r"/v1/models/(?P<name>[^/:]+)(?:/versions/(?P<version>\d+)|/labels/(?P<label>[^/:]+))?"
_ROUTES = (  # matched whole, ignoring case, on path and query
    ("POST", re.compile(_MODEL + r":(?P<call>predict|classify|regress)", re.I | re.A)),
    ("GET", re.compile(_MODEL + r"/(?P<call>metadata)", re.I | re.A)),
    ("GET", re.compile(_MODEL + r"(?P<call>)", re.I | re.A)),
)


@dataclass
class Route:
    """One request of the API, and what becomes known of it for the metrics and the access log.

    Args:
        call: str. `predict`, `classify`, `regress`, `metadata` or `status`; "" if it is none.
        spec: ModelSpec. The model and version asked for.
        error: ServingError of a path or method that means no call.
        version: int. The version that answers.
        signature: str. Its signature.
        examples: int. Rows of the input.
    """

    call: str
    spec: Any
    error: ServingError | None = None
    version: int | None = None
    signature: str | None = None
    examples: int | None = None


def find_route(method: str, target: str) -> Route:
    """Reads a request line's method and target.

    Names are keys of a table and never part of a path, so `..` in one leads nowhere.

    Example:
    >>> route = find_route("POST", "/v1/models/elmo/versions/3:predict")
    >>> route.call, route.spec.name, route.spec.version.value
    ('predict', 'elmo', 3)
    >>> find_route("PUT", "/v1/models/elmo").error.message
    'Malformed request: PUT /v1/models/elmo'
    """
    spec = ModelSpec()
    if method == "GET" and target.lower() == "/v1/models":
        return Route("", spec, invalid_argument("Missing model name in request."))
    for wanted, pattern in _ROUTES:
        match = pattern.fullmatch(target) if method == wanted else None
        if match is None:
            continue
        call = match["call"].lower() or "status"
        spec.name = unquote(match["name"])
        if match["version"] is not None:
            # No number of many digits is turned into an int, which takes long.
            digits = match["version"].lstrip("0") or "0"
            if len(digits) > 19 or int(digits) > 2**63 - 1:
                message = f"Failed to convert version: {match['version']} to numeric."
                return Route(call, spec, invalid_argument(message))
            spec.version.value = int(digits)
        if match["label"] is not None:
            spec.version_label = unquote(match["label"])
        return Route(call, spec)
    return Route("", spec, invalid_argument(f"Malformed request: {method} {target}"))
