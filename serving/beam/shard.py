"""Shard: some lines of a file, the unit that is embedded, written and resumed."""

from __future__ import annotations

import dataclasses
import os
import urllib.parse


@dataclasses.dataclass(frozen=True)
class Shard:
    """Consecutive lines of a file.

    Args:
        path: str. The file.
        name: str. What distinguishes the file from the others of the corpus.
        index: int. Which shard of the file, from 0.
        first_line: int. Number of its first line in the file, from 1.
        lines: tuple of bytes, without line ends.

    Example:
    >>> Shard("/corpus/a/x.txt", "a/x.txt", 2, 2001, (b"One line .",)).file_name(".parquet")
    'a%2Fx.txt-00002.parquet'
    """

    path: str
    name: str
    index: int
    first_line: int
    lines: tuple[bytes, ...]

    def file_name(self, extension: str) -> str:
        """The name of the output, the same at each try, and unlike any other shard's."""
        return f"{urllib.parse.quote(self.name, safe='')}-{self.index:05d}{extension}"


def names_of(paths: list[str]) -> dict[str, str]:
    """What distinguishes the files of a corpus: {path: path below the folder common to all}.

    Example:
    >>> names_of(["/corpus/a/x.txt", "/corpus/b/x.txt"])
    {'/corpus/a/x.txt': 'a/x.txt', '/corpus/b/x.txt': 'b/x.txt'}
    >>> names_of(["gs://bucket/x.txt"])
    {'gs://bucket/x.txt': 'x.txt'}
    """
    folders = [path.rpartition("/")[0] for path in paths]
    common = os.path.commonprefix([f"{folder}/" for folder in folders]).rpartition("/")[0]
    return {path: path[len(common) + 1 :] for path in paths}
