"""ReadShards: from a file to the shards that are not done yet."""

from __future__ import annotations

import bz2
import contextlib
import dataclasses
import gzip
import lzma
import zlib
from collections.abc import Iterator
from typing import Any

import apache_beam as beam
from apache_beam.io.filesystem import CompressionTypes
from apache_beam.io.filesystems import FileSystems
from apache_beam.metrics.metric import Metrics
from apache_beam.pvalue import TaggedOutput
from backports import zstd

from .output_folder import OutputFolder
from .result import BadLine
from .shard import Shard
from .writing import BAD_LINES, extension_of

# Beam's own readers of these take the beginning of a file for the whole.
UNPACKERS = {
    CompressionTypes.GZIP: gzip.open,
    CompressionTypes.BZIP2: bz2.open,
    CompressionTypes.LZMA: lzma.open,
    CompressionTypes.ZSTD: zstd.open,
}


class ReadShards(beam.DoFn):
    """Cuts files into shards, and drops those whose output is already there.

    A file is read from its beginning to its end, line by line, so compressed files of any size
    stream; `.gz`, `.bz2`, `.xz` and `.zst` are unpacked by their names. Outputs of lines that the
    file has no more are removed. Of a file that cannot be read to its end the shards before the
    damage are taken, and the rest is noted in `output/_bad_lines/…-unreadable.jsonl` and in the
    side output `bad_lines` as (path, line, reason), until the file is read to its end.

    Args:
        output: str. Folder of the outputs.
        file_format: str. "parquet" or "tfrecord".
        lines_per_shard: int.
    """

    def __init__(self, output: str, file_format: str, lines_per_shard: int) -> None:
        super().__init__()
        self._folder = OutputFolder(output, extension_of(file_format))
        self._lines_per_shard = lines_per_shard
        self._shards = Metrics.counter("embed", "shards")
        self._skipped = Metrics.counter("embed", "shards_done_before")
        self._unreadable = Metrics.counter("embed", "unreadable_files")

    def process(self, path: str) -> Iterator[Any]:
        outputs = self._folder.outputs_of(path)
        names, next_line = set(), 1
        try:
            for shard in self._cut(path):
                there = outputs.pop(shard.index, set())
                outdated = there - {shard.name}
                if shard.name not in there:
                    self._shards.inc()
                    yield dataclasses.replace(shard, outdated=tuple(sorted(outdated)))
                else:
                    self._skipped.inc()
                    for name in outdated:
                        self._folder.remove(name)
                names.add(shard.name)
                next_line = shard.first_line + len(shard.lines)
        except _UnreadableError as error:
            bad = BadLine(next_line, b"", f"the file cannot be read to its end: {error}")
            self._folder.put_unreadable(path, bad)
            self._unreadable.inc()
            yield TaggedOutput(BAD_LINES, (path, bad.line, bad.reason))
            return
        for name in set().union(*outputs.values()):  # beyond the last shard
            self._folder.remove(name)
        self._folder.keep_bad_lines(path, names)

    def _cut(self, path: str) -> Iterator[Shard]:
        lines, first, index = [], 1, 0
        for number, line in enumerate(_lines(path), start=1):
            lines.append(line.rstrip(b"\r\n"))
            if len(lines) == self._lines_per_shard:
                yield Shard(path, index, first, tuple(lines))
                lines, first, index = [], number + 1, index + 1
        if lines or not index:  # an empty file has one shard too: it is seen to be done
            yield Shard(path, index, first, tuple(lines))


class _UnreadableError(Exception):
    """A file that is damaged, or cannot be opened."""


def _lines(path: str) -> Iterator[bytes]:
    compression = CompressionTypes.detect_compression_type(path)
    unpack = UNPACKERS.get(compression)
    try:
        with contextlib.ExitStack() as stack:
            if unpack is None:
                file = stack.enter_context(FileSystems.open(path, compression_type=compression))
            else:
                raw = FileSystems.open(path, compression_type=CompressionTypes.UNCOMPRESSED)
                file = stack.enter_context(unpack(stack.enter_context(raw)))
            yield from iter(file.readline, b"")
            if isinstance(file, gzip.GzipFile) and file.mtime is None:
                raise EOFError("Compressed file is empty")  # where gzip sees only no lines
    except (OSError, EOFError, zlib.error, lzma.LZMAError, zstd.ZstdError) as error:
        raise _UnreadableError(str(error) or type(error).__name__) from error
