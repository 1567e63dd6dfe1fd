"""Files of a corpus: found below `data.root`, read line by line, plain or gzip."""

import gzip
import os
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

GZIP_MAGIC = b"\x1f\x8b"
DAMAGED_GZIP = (EOFError, zlib.error, gzip.BadGzipFile)


def resolve(root: str | os.PathLike | None, relative: str) -> Path:
    """Finds a corpus file below `data.root`, as it is named or with `.gz` added or removed.

    Args:
        root: str or path. The folder that `data.root` names.
        relative: str. Path of the file below `root`, with forward slashes.

    Returns:
        `pathlib.Path` of an existing file.

    Raises:
        ValueError: `root` is empty.
        FileNotFoundError: the file is missing; says what is there instead.
    """
    if root is None or not os.fspath(root):
        raise ValueError(
            f"`data.root` must be the folder that holds {relative}; set it with "
            f"`--set data.root=FOLDER`. Received: data.root={root!r}"
        )
    path = Path(root).expanduser() / relative
    other = path.with_suffix("") if path.suffix == ".gz" else path.with_name(path.name + ".gz")
    for candidate in (path, other):
        if candidate.is_file():
            return candidate
    # The nearest folder that exists tells a wrong root from a missing file.
    folder = path.parent
    while not folder.is_dir() and folder != folder.parent:
        folder = folder.parent
    names = sorted(entry.name for entry in folder.iterdir())
    listing = ", ".join(names[:12]) + (f", … ({len(names)} in all)" if len(names) > 12 else "")
    raise FileNotFoundError(
        f"`data.root` must hold the file {relative} (or the same with or without .gz). "
        f"Received: data.root={os.fspath(root)}; {folder} exists and holds: {listing or 'nothing'}."
    )


def read_lines(path: str | os.PathLike, encoding: str = "utf-8-sig") -> Iterator[tuple[int, str]]:
    """Streams the numbered lines of a text file, plain or gzip.

    Gzip is recognized by its first bytes, not by the name. Lines end at `\\n` or `\\r\\n` only: the
    other characters that Python calls line breaks occur inside tokens. A byte-order mark at the
    start is dropped; an invalid byte becomes U+FFFD (`errors="replace"`), so that one bad byte does
    not stop a training run and the token keeps its place.

    Args:
        path: str or path of the file.
        encoding: str. Of the text; the default is UTF-8.

    Yields:
        (line number from 1, line without its end).

    Raises:
        FileNotFoundError: no such file.
        ValueError: the gzip stream is damaged or cut off; names file and line.
    """
    path = Path(path)
    opener = _opener(path)
    number = 0
    try:
        with opener(path, "rt", encoding=encoding, errors="replace", newline="\n") as lines:
            for number, line in enumerate(lines, start=1):  # noqa: B007, the handler reads it
                yield number, line.rstrip("\r\n")
    except DAMAGED_GZIP as error:
        raise ValueError(
            f"`path` must be a whole gzip file. Received: {path}, damaged after line {number} "
            f"({error})."
        ) from error


def read_bytes(path: str | os.PathLike) -> bytes:
    """Reads a whole file, plain or gzip, of a format that says itself how its text is encoded.

    Args:
        path: str or path of the file.

    Raises:
        FileNotFoundError: no such file.
        ValueError: the gzip stream is damaged or cut off; names the file.
    """
    path = Path(path)
    try:
        with _opener(path)(path, "rb") as file:
            return file.read()
    except DAMAGED_GZIP as error:
        raise ValueError(
            f"`path` must be a whole gzip file. Received: {path} ({error})."
        ) from error


def _opener(path: Path) -> Callable[..., Any]:
    """What opens the file: gzip is recognized by its first bytes."""
    if not path.is_file():
        kind = "a folder" if path.is_dir() else "no file"
        raise FileNotFoundError(f"`path` must be a file. Received: path={path} ({kind}).")
    with open(path, "rb") as raw:
        return gzip.open if raw.read(2) == GZIP_MAGIC else open
