"""The experiments: one file each, `<system>_<task>.py`, with a module-level `experiment`.

A new experiment is one new file in this folder; nothing else is edited. Listing the names imports
none of them. A file whose name begins with an underscore is what several experiments share.
"""

from __future__ import annotations

import fnmatch
import importlib
import pkgutil

from ..config import Experiment
from ..overrides import nearest

__all__ = ["get", "list_experiments"]


def list_experiments(pattern: str = "*") -> list[str]:
    """Returns the names of the experiments that match a shell pattern, sorted.

    Example:
    >>> from polysemy.recipes.experiments import list_experiments
    >>> list_experiments("no_such_*")
    []
    """
    modules = (module.name for module in pkgutil.iter_modules(__path__))
    names = (name for name in modules if not name.startswith("_"))
    return sorted(name for name in names if fnmatch.fnmatchcase(name, pattern))


def get(name: str) -> Experiment:
    """Returns the experiment of a name.

    Raises:
        ValueError: no file has this name (the nearest one is named), or it holds no `experiment` of
            this name.
    """
    names = list_experiments()
    if name not in names:
        raise ValueError(
            f"`experiment` must be one of {', '.join(names) or '(none)'}{nearest(name, names)}. "
            f"Received: experiment={name!r}."
        )
    found = getattr(importlib.import_module(f"{__name__}.{name}"), "experiment", None)
    if not isinstance(found, Experiment) or found.name != name:
        raise ValueError(
            f"`recipes/experiments/{name}.py` must define `experiment = Experiment(name={name!r}, "
            "…)`. "
            f"Received: experiment={found!r}."
        )
    return found
