"""Measured scores as rows of a CSV file."""

from __future__ import annotations

import csv
import statistics
import subprocess
from collections.abc import Sequence
from pathlib import Path

from .replacing import replacing

COLUMNS: tuple[str, ...] = (
    "experiment",
    "variant",
    "metric",
    "mean",
    "sd",
    "seeds",
    "data",
    "paper",
    "commit",
    "minutes",
    "hardware",
)


def mean_and_sd(values: Sequence[float]) -> tuple[float, float]:
    """Returns the mean and the sample standard deviation (0 for a single value).

    Example:
    >>> from polysemy.recipes.results import mean_and_sd
    >>> mean_and_sd([1.0, 2.0, 3.0])
    (2.0, 1.0)
    """
    return statistics.fmean(values), statistics.stdev(values) if len(values) > 1 else 0.0


def append_rows(path: str | Path, rows: Sequence[dict[str, str]]) -> None:
    """Appends rows to a results file; one of the same experiment, variant, metric and data is
    replaced.

    Raises:
        ValueError: the file has other columns.
    """
    path = Path(path)
    kept: list[dict[str, str]] = []
    if path.exists():
        with open(path, newline="", encoding="utf-8") as file:
            reader = csv.DictReader(file)
            if tuple(reader.fieldnames or ()) != COLUMNS:
                raise ValueError(
                    f"`results` must have the columns {','.join(COLUMNS)}. Received: "
                    f"{reader.fieldnames} in {path}."
                )
            kept = list(reader)

    def identity(row: dict[str, str]) -> tuple[str, ...]:
        return tuple(row[column] for column in ("experiment", "variant", "metric", "data"))

    new = {identity(row) for row in rows}
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path, newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows([row for row in kept if identity(row) not in new])
        writer.writerows(rows)


def commit() -> str:
    """Returns the short commit of the working tree this code lies in, with "+" where it is changed;
    "" outside of git.
    """
    root = Path(__file__).resolve().parent.parent
    if not (root / ".git").exists():
        return ""

    def git(*arguments: str) -> str:
        done = subprocess.run(
            ["git", "-C", str(root), *arguments], capture_output=True, text=True, check=False
        )
        return done.stdout.strip()

    changed = git("status", "--porcelain", "--untracked-files=no")
    return git("rev-parse", "--short", "HEAD") + ("+" if changed else "")
