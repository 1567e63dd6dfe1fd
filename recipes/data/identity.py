"""What tells the data of one run from those of another: digests of the files that it reads."""

import functools
import hashlib
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from .files import read_lines, resolve


def corpus_files(corpus: Any) -> tuple[str, ...]:
    """Returns the files of a corpus, by their paths below `data.root`; none of one that is part of
    the package.

    Args:
        corpus: has `files`, a mapping of split to one path or several, and `root`.
    """
    if corpus.root is not None:
        return ()
    splits = corpus.files.values()
    paths = (path for files in splits for path in ((files,) if isinstance(files, str) else files))
    return tuple(dict.fromkeys(paths))


def digests(root: str | os.PathLike, files: Iterable[str]) -> dict[str, str]:
    """Returns a digest of the lines of each file that is there, compressed or not.

    Args:
        root: str or path. The folder `data.root`.
        files: paths below `root`.

    Returns:
        path, without ".gz" → digest; the same for the same lines, wherever they lie.

    Example:
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> _ = (folder / "a.txt").write_text("one\\ntwo\\n")
    >>> digests(folder, ["a.txt.gz", "b.txt"])
    {'a.txt': 'c3f9c8c283a2b1f2'}
    """
    found = {}
    for file in files:
        try:
            path = resolve(root, file)
        except (FileNotFoundError, ValueError):
            continue  # whoever reads it says that it is missing
        state = path.stat()
        found[file.removesuffix(".gz")] = _digest(path, state.st_mtime_ns, state.st_size)
    return found


@functools.lru_cache(maxsize=256)
def _digest(path: Path, *state: int) -> str:
    """The digest of a file, computed once while its `state` is the same."""
    del state
    digest = hashlib.sha256()
    for _, line in read_lines(path, encoding="latin-1"):  # which can hold any bytes
        digest.update(line.encode("latin-1") + b"\n")
    return digest.hexdigest()[:16]
