"""Measured scores as rows of a CSV file."""

from __future__ import annotations

import csv
import statistics
import subprocess
from collections.abc import Iterable, Sequence
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


def measured(name: str, data: str, variants: Iterable[str], path: str | Path | None = None) -> str:
    """Sums up what a results file says of an experiment; "" where it has no test score of it.

    Args:
        name: str. The experiment.
        data: str. The name of its data; rows of other data are left out.
        variants: names of its variants, in the order in which they are shown.
        path: CSV file; None: the one that comes with the package.

    Example:
    >>> from polysemy.recipes.results import measured
    >>> measured("elmo_lm_wikitext2", "WikiText-2", ["default"])
    'test_perplexity: default ...; ... min, ...'
    """
    path = Path(path or Path(__file__).with_name("results.csv"))
    if not path.exists():
        return ""
    first: dict[str, dict[str, str]] = {}  # variant → its first test score, which is the headline
    with open(path, newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            if (row["experiment"], row["data"]) == (name, data) and row["metric"][:5] == "test_":
                first.setdefault(row["variant"], row)
    rows = [first[variant] for variant in variants if variant in first]
    if not rows:
        return ""
    scores = ", ".join(f"{row['variant']} {float(row['mean']):.4g}" for row in rows)
    minutes = sorted({float(row["minutes"]) for row in rows})
    spent = "–".join(f"{value:g}" for value in dict.fromkeys((minutes[0], minutes[-1])))
    hardware = ", ".join(dict.fromkeys(row["hardware"] for row in rows))
    return f"{rows[0]['metric']}: {scores}; {spent} min, {hardware}"


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
