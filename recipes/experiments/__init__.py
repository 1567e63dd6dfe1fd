"""The experiments: one file each, `<system>_<task>.py`, with a module-level `experiment`.

A new experiment is one new file in this folder; nothing else is edited. It may as well be a file
elsewhere, which is asked for by its path. Listing the names imports none of them. A file whose name
begins with an underscore is what several experiments share.
"""

from __future__ import annotations

import fnmatch
import importlib
import importlib.util
import pkgutil
import sys
from pathlib import Path
from types import ModuleType

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
    """Returns the experiment of a name, or that of a file of one's own.

    Args:
        name: str. The name of a file in this folder, or the path of any file that ends in ".py".

    Raises:
        ValueError: no file has this name (the nearest one is named), or it holds no `experiment` of
            this name, or is no Python.
        FileNotFoundError: there is no file at this path.
    """
    if name.endswith(".py"):
        path = Path(name)
        return _experiment_of(_load(path), path.stem, str(path))
    names = list_experiments()
    if name not in names:
        raise ValueError(
            f"`experiment` must be one of {', '.join(names) or '(none)'}{nearest(name, names)}, or "
            f"the path of a file that ends in .py. Received: experiment={name!r}."
        )
    return _experiment_of(
        importlib.import_module(f"{__name__}.{name}"), name, f"recipes/experiments/{name}.py"
    )


def _load(path: Path) -> ModuleType:
    """Runs a file of one's own, each time anew."""
    if not path.is_file():
        raise FileNotFoundError(f"`experiment` must be a file. Received: experiment={str(path)!r}.")
    name = f"{__name__}._own.{path.stem}"  # not one that another module may have
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # where its dataclasses look their types up
    try:
        spec.loader.exec_module(module)
    except SyntaxError as error:
        raise ValueError(
            f"`experiment` must be a file of Python. Received: experiment={str(path)!r} ({error})."
        ) from error
    return module


def _experiment_of(module: ModuleType, name: str, file: str) -> Experiment:
    found = getattr(module, "experiment", None)
    if not isinstance(found, Experiment) or found.name != name:
        raise ValueError(
            f"`{file}` must define `experiment = Experiment(name={name!r}, …)`. Received: "
            f"experiment={found!r}."
        )
    return found
