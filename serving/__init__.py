"""SavedModel export, TF Hub, the model server and its clients. Knows SavedModels, not models.

`export` writes a Keras model as a version that TensorFlow Serving, `hub.KerasLayer` and
`HubLayer` read, `archive` packs it; `server.Server` answers for it, `Client` and `AsyncClient` ask.
The clients do not import TensorFlow.
"""

from __future__ import annotations

import importlib
import sys
import types
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .client import Client
    from .client_async import AsyncClient
    from .client_tls import TLS
    from .export import export
    from .hub import HubLayer
    from .hub_archive import archive

__all__ = ["TLS", "AsyncClient", "Client", "HubLayer", "archive", "export"]

_LAZY = {
    "AsyncClient": "client_async",
    "Client": "client",
    "HubLayer": "hub",
    "TLS": "client_tls",
    "archive": "hub_archive",
    "export": "export",
}


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f".{_LAZY[name]}", __name__), name)


class _Package(types.ModuleType):
    """Keeps the function under its name when the submodule `export` is imported."""

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "export" and isinstance(value, types.ModuleType):
            value = vars(value)[name]
        super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package
