"""How servers name the versions of a model."""

from __future__ import annotations

import os
import re
from pathlib import Path


def versions(directory: str | os.PathLike) -> list[int]:
    """The version numbers in a model's folder, ascending: children whose whole name is a number.

    Example:
    >>> versions("/nonexistent")
    []
    """
    directory = Path(directory)
    if not directory.is_dir():
        return []
    names = (child.name for child in directory.iterdir() if child.is_dir())
    return sorted(int(name) for name in names if re.fullmatch(r"[0-9]+", name))
