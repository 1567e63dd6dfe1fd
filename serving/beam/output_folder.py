"""OutputFolder: where the vectors are, and what is there already."""

from __future__ import annotations

import base64
import json
import re
import uuid
from collections.abc import Callable, Iterable
from typing import Any

from apache_beam.io.filesystems import FileSystems

from .result import BadLine
from .shard import name_of

UNREADABLE = "unreadable"  # ends the name of the note that a file cannot be read to its end


class OutputFolder:
    """Outputs and, in `_bad_lines`, what could not be embedded.

    An output is written beside and renamed: it is there whole, or not at all. Readers of Parquet
    data sets pass over names with `_`.

    Args:
        path: str. Folder, of any file system that Beam knows.
        extension: str. Of the outputs.
    """

    def __init__(self, path: str, extension: str) -> None:
        self._path = path
        self._bad_lines = FileSystems.join(path, "_bad_lines")
        self._extension = extension

    def outputs_of(self, path: str) -> dict[int, set[str]]:
        """Names of the outputs of a file, by index of the shard; without their ending."""
        found: dict[int, set[str]] = {}
        prefix = f"{name_of(path)}-"
        for name in _names(self._path, f"{prefix}*", self._extension):
            if match := re.fullmatch(r"(\d{5,})-[0-9a-f]{8}", name.removeprefix(prefix)):
                found.setdefault(int(match[1]), set()).add(name)
        return found

    def put(self, name: str, write: Callable[[Any], Any]) -> None:
        """Writes an output, in the place of one of the same name."""
        _put(self._path, f"{name}{self._extension}", write)

    def put_bad_lines(self, name: str, path: str, bad: Iterable[BadLine]) -> None:
        """Writes the bad lines of the output `name`, which are lines of the file `path`."""
        records = [
            {
                "path": path,
                "line": each.line,
                "reason": each.reason,
                "raw": base64.b64encode(each.raw).decode("ascii"),
            }
            for each in bad
        ]
        text = "".join(json.dumps(record) + "\n" for record in records)
        _put(self._bad_lines, f"{name}.jsonl", lambda file: file.write(text.encode()))

    def put_unreadable(self, path: str, error: BadLine) -> None:
        """Notes that the file `path` could not be read from a line on."""
        self.put_bad_lines(f"{name_of(path)}-{UNREADABLE}", path, [error])

    def unreadable(self, paths: Iterable[str]) -> list[str]:
        """Those of `paths` that could not be read to their end."""
        noted = _names(self._bad_lines, f"*-{UNREADABLE}", ".jsonl")
        return [path for path in paths if f"{name_of(path)}-{UNREADABLE}" in noted]

    def remove(self, name: str) -> None:
        """Removes an output and its bad lines, as far as they are there."""
        _remove(FileSystems.join(self._bad_lines, f"{name}.jsonl"))
        _remove(FileSystems.join(self._path, f"{name}{self._extension}"))

    def keep_bad_lines(self, path: str, names: Iterable[str]) -> None:
        """Removes what was noted of the file `path`, but for the bad lines of outputs `names`."""
        prefix = f"{name_of(path)}-"
        there = _names(self._bad_lines, f"{prefix}*", ".jsonl")
        for name in there.difference(names):
            if re.fullmatch(rf"\d{{5,}}-[0-9a-f]{{8}}|{UNREADABLE}", name.removeprefix(prefix)):
                _remove(FileSystems.join(self._bad_lines, f"{name}.jsonl"))


def _names(folder: str, pattern: str, extension: str) -> set[str]:
    (match,) = FileSystems.match([FileSystems.join(folder, f"{pattern}{extension}")])
    paths = (metadata.path for metadata in match.metadata_list)
    return {path.rpartition("/")[2].removesuffix(extension) for path in paths}


def _put(folder: str, name: str, write: Callable[[Any], Any]) -> None:
    if not FileSystems.exists(folder):
        try:
            FileSystems.mkdirs(folder)
        except OSError:
            if not FileSystems.exists(folder):  # else another worker was first
                raise
    temporary = FileSystems.join(folder, f".{name}.tmp-{uuid.uuid4().hex}")
    final = FileSystems.join(folder, name)
    with FileSystems.create(temporary, "application/octet-stream", "uncompressed") as file:
        write(file)
    _remove(final)  # of an earlier try
    FileSystems.rename([temporary], [final])


def _remove(path: str) -> None:
    if FileSystems.exists(path):
        FileSystems.delete([path])
