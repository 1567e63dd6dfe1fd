"""MetricsLog: the scores of each epoch as `metrics.csv` and for TensorBoard."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path

import tensorflow as tf

from ..replacing import replacing


class MetricsLog:
    """Writes one row an epoch to `metrics.csv`, and the same numbers as TensorBoard scalars.

    Rows are in the file before the checkpoint of their epoch is; `truncate` drops those of an epoch
    that will be repeated.

    Args:
        directory: folder of the run.
        writes: bool. Whether this process writes.
    """

    def __init__(self, directory: str | Path, writes: bool = True):
        self.path = Path(directory) / "metrics.csv"
        self.events = Path(directory) / "tensorboard"
        self.writes = writes
        self._writer = None

    def rows(self) -> list[dict[str, str]]:
        """Returns the rows written so far."""
        if not self.path.exists():
            return []
        with open(self.path, newline="", encoding="utf-8") as file:
            return list(csv.DictReader(file))

    def truncate(self, epoch: int) -> None:
        """Drops the rows after `epoch`."""
        if self.writes and self.path.exists():
            self._write([row for row in self.rows() if int(row["epoch"]) <= epoch])

    def append(self, row: Mapping[str, float]) -> None:
        """Adds a row; it has `epoch` and `step`, and columns of its own are added to the file."""
        if not self.writes:
            return
        self._write([*self.rows(), {key: str(value) for key, value in row.items()}])
        if self._writer is None:
            self._writer = tf.summary.create_file_writer(str(self.events))
        with self._writer.as_default(step=int(row["step"])):
            for key, value in row.items():
                if key != "step":
                    tf.summary.scalar(key, value)
        self._writer.flush()

    def close(self) -> None:
        """Closes the event file."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def _write(self, rows: list[dict[str, str]]) -> None:
        """Writes the whole file: it has one row an epoch, and each writing keeps it readable."""
        columns = list(dict.fromkeys(key for row in rows for key in row))
        with replacing(self.path, newline="") as file:
            writer = csv.DictWriter(file, columns, restval="")
            writer.writeheader()
            writer.writerows(rows)
