"""Files that are there whole, or as they were before, whoever else writes them."""

from __future__ import annotations

import fcntl
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any


@contextmanager
def replacing(path: str | os.PathLike, mode: str = "w", **options: Any) -> Iterator[IO[Any]]:
    """Opens a file beside `path`, which takes its place, synced to disk, when the block ends.

    After an error or a kill within the block `path` is as it was. The file beside has a name of its
    own each time, so that several processes may write the same `path`: the last one's stays.

    Args:
        path: the file to write, in a folder that exists.
        mode: str. "w" (UTF-8) or "wb".
        **options: of `open`, such as `newline`.

    Example:
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp(), "scores.json")
    >>> with replacing(path) as file:
    ...     _ = file.write("{}")
    >>> path.read_text(), [file.name for file in path.parent.iterdir()]
    ('{}', ['scores.json'])
    """
    path = Path(path)
    beside = path.with_name(f"{path.name}.{secrets.token_hex(4)}.partial")
    if "b" not in mode:
        options.setdefault("encoding", "utf-8")
    try:
        with open(beside, mode, **options) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise


@contextmanager
def locked(path: str | os.PathLike) -> Iterator[None]:
    """Within the block no other process is in a block of the same `path`; the others wait.

    Args:
        path: a file, in a folder that exists. The lock is `path` + ".lock", which goes when the
            block ends. (The folder itself cannot be locked on every network file system.)
    """
    lock = f"{os.fspath(path)}.lock"
    while True:
        with open(lock, "a") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            with suppress(FileNotFoundError):
                if os.path.samestat(os.stat(lock), os.fstat(file.fileno())):
                    try:
                        yield
                    finally:
                        os.unlink(lock)
                    return
        # Who had it before has removed it: another file counts by now.
