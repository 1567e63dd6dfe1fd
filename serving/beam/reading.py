"""ReadShards: from a file to the shards that are not done yet."""

from __future__ import annotations

from collections.abc import Iterator

import apache_beam as beam
from apache_beam.io.filesystems import FileSystems
from apache_beam.metrics.metric import Metrics

from .shard import Shard
from .writing import extension_of


class ReadShards(beam.DoFn):
    """Cuts files into shards, and drops those whose output is already there.

    A file is read from its beginning to its end, line by line, so compressed files of any size
    stream; `.gz`, `.bz2` and `.zst` are unpacked by their names.

    Args:
        output: str. Folder of the outputs.
        file_format: str. "parquet" or "tfrecord".
        lines_per_shard: int.
    """

    def __init__(self, output: str, file_format: str, lines_per_shard: int) -> None:
        super().__init__()
        self._output = output
        self._extension = extension_of(file_format)
        self._lines_per_shard = lines_per_shard
        self._shards = Metrics.counter("embed", "shards")
        self._skipped = Metrics.counter("embed", "shards_done_before")

    def process(self, element: tuple[str, str]) -> Iterator[Shard]:
        path, name = element
        done = {
            metadata.path.rpartition("/")[2]
            for match in FileSystems.match([FileSystems.join(self._output, "*")])
            for metadata in match.metadata_list
        }
        for shard in self._cut(path, name):
            if shard.file_name(self._extension) in done:
                self._skipped.inc()
            else:
                self._shards.inc()
                yield shard

    def _cut(self, path: str, name: str) -> Iterator[Shard]:
        with FileSystems.open(path) as file:
            lines, first, index = [], 1, 0
            for number, line in enumerate(iter(file.readline, b""), start=1):
                lines.append(line.rstrip(b"\r\n"))
                if len(lines) == self._lines_per_shard:
                    yield Shard(path, name, index, first, tuple(lines))
                    lines, first, index = [], number + 1, index + 1
            if lines or not index:  # an empty file has one shard too: it is seen to be done
                yield Shard(path, name, index, first, tuple(lines))
