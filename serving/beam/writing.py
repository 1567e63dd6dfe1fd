"""WriteShards: a shard's vectors to one file, its bad lines to another."""

from __future__ import annotations

import base64
import json
import shutil
import tempfile
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import apache_beam as beam
import numpy as np
import tensorflow as tf
from apache_beam.io.filesystems import FileSystems
from apache_beam.metrics.metric import Metrics
from apache_beam.pvalue import TaggedOutput

from .result import Row, ShardResult

BAD_LINES = "bad_lines"  # the side output, and the folder that it is written to


class WriteShards(beam.DoFn):
    """Writes each shard beside and renames it: an output is there whole, or not at all.

    Bad lines go to `output/bad_lines/…jsonl` before the shard's file appears, and to the side
    output `bad_lines` as (path, line, reason).

    Args:
        output: str. Folder, of any file system that Beam knows.
        file_format: str. "parquet" or "tfrecord".

    Yields:
        (name of the file, number of rows).
    """

    def __init__(self, output: str, file_format: str) -> None:
        super().__init__()
        self._output = output
        self._extension = extension_of(file_format)
        self._write = _WRITERS[file_format]
        self._counters = {
            name: Metrics.counter("embed", name)
            for name in ("lines", "sentences", "tokens", "blank_lines", "failures")
        }

    def process(self, element: ShardResult) -> Iterator[Any]:
        shard = element.shard
        if element.bad:
            lines = [
                {
                    "path": shard.path,
                    "line": bad.line,
                    "reason": bad.reason,
                    "raw": base64.b64encode(bad.raw).decode("ascii"),
                }
                for bad in element.bad
            ]
            text = "".join(json.dumps(line) + "\n" for line in lines)
            folder = FileSystems.join(self._output, BAD_LINES)
            self._put(folder, shard.file_name(".jsonl"), lambda file: file.write(text.encode()))
        name = shard.file_name(self._extension)
        self._put(self._output, name, lambda file: self._write(file, shard.name, element.rows))
        counts = {
            "lines": len(shard.lines),
            "sentences": len(element.rows),
            "tokens": sum(row.tokens for row in element.rows),
            "blank_lines": element.blank,
            "failures": len(element.bad),
        }
        for key, count in counts.items():
            self._counters[key].inc(count)
        for bad in element.bad:
            yield TaggedOutput(BAD_LINES, (shard.path, bad.line, bad.reason))
        yield name, len(element.rows)

    def _put(self, folder: str, name: str, write: Callable[[Any], Any]) -> None:
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
        if FileSystems.exists(final):  # of an earlier try of this shard
            FileSystems.delete([final])
        FileSystems.rename([temporary], [final])


def extension_of(file_format: str) -> str:
    """The ending of the files of a format.

    Raises:
        ValueError: if there is no such format.
    """
    if file_format not in _WRITERS:
        raise ValueError(
            f"`file_format` must be one of {', '.join(_WRITERS)}. "
            f"Received: file_format={file_format!r}"
        )
    return f".{file_format}"


def _write_parquet(file: Any, name: str, rows: list[Row]) -> None:
    """Columns `file`, `line`, `text`, `tokens`, and each output as (nested) lists."""
    import pyarrow
    import pyarrow.parquet

    columns: dict[str, list[Any]] = {
        "file": [name] * len(rows),
        "line": [row.line for row in rows],
        "text": [row.text for row in rows],
        "tokens": [row.tokens for row in rows],
    }
    for key in rows[0].outputs if rows else ():
        columns[key] = [_nested(row.outputs[key]) for row in rows]
    table = pyarrow.table(columns)
    pyarrow.parquet.write_table(table, file)


def _nested(array: np.ndarray) -> Any:
    """An array as pyarrow takes it: lists of 1-D arrays, which it copies without Python numbers."""
    if array.ndim == 0:
        return array.item()
    if array.dtype.kind == "V":  # bfloat16, which Parquet has not
        array = array.astype("float32")
    return array if array.ndim == 1 else [_nested(part) for part in array]


def _write_tfrecord(file: Any, name: str, rows: list[Row]) -> None:
    """A tf.train.Example a row: the columns of Parquet, arrays flat, with `<output>_shape`."""
    with tempfile.TemporaryDirectory() as folder:  # TensorFlow writes records to a path only
        path = Path(folder, "records")
        with tf.io.TFRecordWriter(str(path)) as writer:
            for row in rows:
                writer.write(_example(name, row).SerializeToString())
        with open(path, "rb") as written:
            shutil.copyfileobj(written, file)


def _example(name: str, row: Row) -> Any:
    example = tf.train.Example()
    feature = example.features.feature
    feature["file"].bytes_list.value.append(name.encode())
    feature["text"].bytes_list.value.append(row.text.encode())
    feature["line"].int64_list.value.append(row.line)
    feature["tokens"].int64_list.value.append(row.tokens)
    for key, array in row.outputs.items():
        kind = array.dtype.kind
        if kind in "iub":
            feature[key].int64_list.value.extend(array.ravel().tolist())
        elif kind in "SUO":
            feature[key].bytes_list.value.extend(array.ravel().tolist())
        else:  # floats; numpy's kind of bfloat16 is "V"
            feature[key].float_list.value.extend(array.astype("float32").ravel())
        feature[f"{key}_shape"].int64_list.value.extend(array.shape)
    return example


_WRITERS: dict[str, Callable[[Any, str, list[Row]], None]] = {
    "parquet": _write_parquet,
    "tfrecord": _write_tfrecord,
}
