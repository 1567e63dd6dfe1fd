"""Which models a directory holds."""

from __future__ import annotations

import functools
import logging
import os
import re
from collections.abc import Container
from pathlib import Path

from ..saved_model_file import has_saved_model

LOGGER = logging.getLogger(__name__)
MAX_VERSION = 2**63 - 1  # what an int64 holds


def find_models(
    directory: str | os.PathLike, model_name: str | None = None, known: Container[str] = ()
) -> dict[str, Path]:
    """Finds model folders: those with versions, folders whose whole name is a number.

    A child that cannot be listed is passed over with a warning, unless it is known to be a model.

    Args:
        directory: a model folder, which is then the only one, or a folder of them.
        model_name: the name to serve the only model under. Default: the name of its folder.
        known: absolute paths of folders that were models before.

    Returns:
        dict of name to path.

    Raises:
        ValueError: if there is no model, or several and one name.
        OSError: if the directory cannot be listed.

    Example:
    >>> import tempfile
    >>> root = Path(tempfile.mkdtemp())
    >>> (root / "elmo" / "1").mkdir(parents=True)
    >>> list(find_models(root)), list(find_models(root / "elmo", "encoder"))
    (['elmo'], ['encoder'])
    """
    root = Path(directory).resolve()
    if not root.is_dir():
        raise ValueError(f"`directory` must be a folder. Received: directory={str(directory)!r}")
    if version_folders(root):
        found = {root.name: root}
    else:
        found = {child.name: child for child in sorted(root.iterdir()) if _is_model(child, known)}
    if not found:
        hint = ""
        if has_saved_model(root):
            hint = f" It is one version of a model: give its parent, {str(root.parent)!r}."
        raise ValueError(
            "`directory` must be a model folder, with numbered versions in it, or a folder of "
            f"such. Received: directory={str(directory)!r}.{hint}"
        )
    if model_name is not None:
        if len(found) > 1:
            raise ValueError(
                "`model_name` must be None for a folder of several models. "
                f"Received: model_name={model_name!r} for {', '.join(found)}"
            )
        (path,) = found.values()
        found = {model_name: path}
    return found


def _is_model(folder: Path, known: Container[str]) -> bool:
    try:
        return bool(version_folders(folder))
    except OSError as error:
        if str(folder) in known:
            return True
        _warn_once(str(folder), error.strerror)
        return False


@functools.cache  # directories are listed each second
def _warn_once(folder: str, problem: str) -> None:
    LOGGER.warning("%s is passed over: %s", folder, problem)


def version_folders(model: str | os.PathLike) -> dict[int, Path]:
    """The versions of a model folder, ascending; `00000012` is version 12.

    Raises:
        OSError: if the folder is there and cannot be listed.

    Example:
    >>> version_folders("/nonexistent")
    {}
    """
    path = Path(model)
    return list_versions(path) if path.is_dir() else {}


def list_versions(model: str | os.PathLike) -> dict[int, Path]:
    """As `version_folders`, of a folder that must be there.

    Raises:
        OSError: if it cannot be listed: nothing is known then, not even that there are none.
    """
    found = {
        int(child.name): child
        # The shortest name last, so that of 1 and 001 it is 1 that counts.
        for child in sorted(Path(model).iterdir(), key=lambda child: -len(child.name))
        if re.fullmatch(r"[0-9]+", child.name) and child.is_dir()
    }
    return {number: found[number] for number in sorted(found) if number <= MAX_VERSION}
