"""Files that are there whole, or as they were before."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any


@contextmanager
def replacing(path: str | os.PathLike, mode: str = "w", **options: Any) -> Iterator[IO[Any]]:
    """Opens a file beside `path`, which takes its place, synced to disk, when the block ends.

    After an error or a kill within the block `path` is as it was.

    Args:
        path: the file to write, in a folder that exists.
        mode: str. "w" (UTF-8) or "wb".
        **options: of `open`, such as `newline`.

    Example:
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp(), "scores.json")
    >>> with replacing(path) as file:
    ...     _ = file.write("{}")
    >>> path.read_text()
    '{}'
    """
    path = Path(path)
    beside = path.with_name(path.name + ".partial")
    if "b" not in mode:
        options.setdefault("encoding", "utf-8")
    with open(beside, mode, **options) as file:
        yield file
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)
