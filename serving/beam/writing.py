"""WriteShards: a shard's vectors to one file, its bad lines to another."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import apache_beam as beam
import numpy as np
import tensorflow as tf
from apache_beam.metrics.metric import Metrics
from apache_beam.pvalue import TaggedOutput

from .output_folder import OutputFolder
from .result import Row, ShardResult

BAD_LINES = "bad_lines"  # the side output of the steps that meet any


class WriteShards(beam.DoFn):
    """Writes the vectors of each shard, then removes those from when its lines were others.

    Bad lines go to `output/_bad_lines/…jsonl` before the shard's file appears, and to the side
    output `bad_lines` as (path, line, reason).

    Args:
        output: str. Folder, of any file system that Beam knows.
        file_format: str. "parquet" or "tfrecord".

    Yields:
        (name of the output without its ending, number of rows).
    """

    def __init__(self, output: str, file_format: str) -> None:
        super().__init__()
        self._folder = OutputFolder(output, extension_of(file_format))
        self._write = WRITERS[file_format]
        self._counters = {
            name: Metrics.counter("embed", name)
            for name in ("lines", "sentences", "tokens", "blank_lines", "failures")
        }

    def process(self, element: ShardResult) -> Iterator[Any]:
        shard = element.shard
        if element.bad:
            self._folder.put_bad_lines(shard.name, shard.path, element.bad)
        self._folder.put(shard.name, lambda file: self._write(file, element))
        for name in shard.outdated:
            self._folder.remove(name)
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
        yield shard.name, len(element.rows)


def extension_of(file_format: str) -> str:
    """The ending of the files of a format.

    Raises:
        ValueError: if there is no such format.
    """
    if file_format not in WRITERS:
        raise ValueError(
            f"`file_format` must be one of {', '.join(WRITERS)}. "
            f"Received: file_format={file_format!r}"
        )
    return f".{file_format}"


def _write_parquet(file: Any, result: ShardResult) -> None:
    """Columns `file`, `line`, `text`, `tokens`, and each output as (nested) lists.

    The same columns and types whatever rows there are, so that the files are one data set.
    """
    import pyarrow
    import pyarrow.parquet

    rows = result.rows
    columns: dict[str, Any] = {
        "file": pyarrow.array([result.shard.path] * len(rows), pyarrow.string()),
        "line": pyarrow.array([row.line for row in rows], pyarrow.int64()),
        "text": pyarrow.array([row.text for row in rows], pyarrow.string()),
        "tokens": pyarrow.array([row.tokens for row in rows], pyarrow.int64()),
    }
    for key in rows[0].outputs if rows else result.kinds:
        kind = _arrow_type(*result.kinds[key]) if key in result.kinds else None
        columns[key] = pyarrow.array([_nested(row.outputs[key]) for row in rows], kind)
    pyarrow.parquet.write_table(pyarrow.table(columns), file)


def _arrow_type(dtype: str, axes: int) -> Any:
    """Lists of lists, one level an axis. Parquet has no bfloat16."""
    import pyarrow

    if dtype == "string":
        kind = pyarrow.binary()
    else:
        kind = pyarrow.from_numpy_dtype("float32" if dtype == "bfloat16" else dtype)
    for _ in range(axes):
        kind = pyarrow.list_(kind)
    return kind


def _nested(array: np.ndarray) -> Any:
    """An array as pyarrow takes it: lists of 1-D arrays, which it copies without Python numbers."""
    if array.ndim == 0:
        return array.item()
    if array.dtype.kind == "V":  # bfloat16, which Parquet has not
        array = array.astype("float32")
    return array if array.ndim == 1 else [_nested(part) for part in array]


def _write_tfrecord(file: Any, result: ShardResult) -> None:
    """A tf.train.Example a row: the columns of Parquet, arrays flat, with `<output>_shape`."""
    with tempfile.TemporaryDirectory() as folder:  # TensorFlow writes records to a path only
        path = Path(folder, "records")
        with tf.io.TFRecordWriter(str(path)) as writer:
            for row in result.rows:
                writer.write(_example(result.shard.path, row).SerializeToString())
        with open(path, "rb") as written:
            shutil.copyfileobj(written, file)


def _example(file: str, row: Row) -> Any:
    example = tf.train.Example()
    feature = example.features.feature
    feature["file"].bytes_list.value.append(file.encode())
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


WRITERS: dict[str, Callable[[Any, ShardResult], None]] = {
    "parquet": _write_parquet,
    "tfrecord": _write_tfrecord,
}
