"""SavedModel export, TF Hub, the model server and its client. Knows SavedModels, not models.

`export` writes a Keras model as a version that TensorFlow Serving, `hub.KerasLayer` and
`HubLayer` read; `server.Server` answers for it and `Client` asks.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

# Not at first use like the others: importing the submodule `export` would hide the function.
from .export import export

if TYPE_CHECKING:
    from .client import Client
    from .hub import HubLayer

__all__ = ["Client", "HubLayer", "export"]

_LAZY = {"Client": "client", "HubLayer": "hub"}


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f".{_LAZY[name]}", __name__), name)
