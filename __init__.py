"""Polysemy: a zoo of contextual word representations for TensorFlow and Keras 3.

The four parts `layers`, `zoo`, `recipes` and `serving` are loaded at first use, so that
`import polysemy` and `polysemy --help` need not wait for TensorFlow.

Example:
>>> import polysemy
>>> polysemy.__version__.count(".")
2
"""

from __future__ import annotations

import importlib
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from . import layers as layers
    from . import recipes as recipes
    from . import serving as serving
    from . import zoo as zoo

__version__ = "0.1.0"  # setup.py reads this line

_PARTS = ("layers", "recipes", "serving", "zoo")


def __getattr__(name: str) -> ModuleType:
    if name not in _PARTS:
        raise AttributeError(
            f"module 'polysemy' has no attribute {name!r}. Its parts: {', '.join(_PARTS)}."
        )
    return importlib.import_module(f"{__name__}.{name}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_PARTS})
