"""Shard: some lines of a file, the unit that is embedded, written and resumed."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import urllib.parse


@dataclasses.dataclass(frozen=True)
class Shard:
    """Consecutive lines of a file.

    Args:
        path: str. The file: its absolute path, or its URL.
        index: int. Which shard of the file, from 0.
        first_line: int. Number of its first line in the file, from 1.
        lines: tuple of bytes, without line ends.
        outdated: tuple of str. Names of its outputs from when its lines were others.

    Example:
    >>> Shard("/corpus/a/x.txt", 2, 2001, (b"One line .",)).name
    'x.txt-da50e227-00002-0e4813ce'
    """

    path: str
    index: int
    first_line: int
    lines: tuple[bytes, ...]
    outdated: tuple[str, ...] = ()

    @functools.cached_property
    def name(self) -> str:
        """The output's name without its ending. The same at each try, another for other lines."""
        digest = _hex_digits(b"".join(line + b"\n" for line in self.lines))
        return f"{name_of(self.path)}-{self.index:05d}-{digest}"


def name_of(path: str) -> str:
    """What the names of a file's outputs begin with, whatever else is embedded with it.

    Example:
    >>> name_of("/corpus/a/x.txt"), name_of("/corpus/b/x.txt")
    ('x.txt-da50e227', 'x.txt-15da8dc8')
    """
    name = path.rpartition("/")[2]
    quoted = urllib.parse.quote(name, safe="")
    if name[:1] in ("_", "."):  # such files are not seen by the readers of data sets
        quoted = f"%{ord(name[0]):02X}{quoted[1:]}"
    # File systems take 255 bytes, and more is to be added.
    return f"{quoted[:128]}-{_hex_digits(path.encode())}"


def _hex_digits(data: bytes) -> str:
    return hashlib.blake2b(data, digest_size=4).hexdigest()
