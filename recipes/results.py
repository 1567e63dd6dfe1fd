"""Measured scores as rows of a CSV file."""

from __future__ import annotations

import csv
import statistics
import subprocess
from collections.abc import Iterable, Sequence
from pathlib import Path

from .replacing import locked, replacing

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


def check_results(path: str | Path) -> None:
    """Refuses a results file to which no rows could be added.

    Raises:
        ValueError: it is no CSV file, has other columns, or lies where nothing can be written.
    """
    path = Path(path)
    if path.is_dir():
        raise ValueError(
            f"`results` must be a CSV file. Received: results={str(path)!r}, a folder."
        )
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with locked(path):  # which writes a file beside it
            _read_rows(path)
    except OSError as error:
        raise ValueError(
            "`results` must lie in a folder that can be written to. Received: "
            f"results={str(path)!r} ({error})."
        ) from error


def append_rows(path: str | Path, rows: Sequence[dict[str, str]]) -> list[str]:
    """Appends rows to a results file; one of the same experiment, variant, metric and data is
    replaced, unless it is over more seeds, with one that is not among the new row's.

    Several processes may do so at the same time.

    Returns:
        What has become of rows over other seeds, one sentence for each variant.

    Raises:
        ValueError: the file has other columns.
    """
    path = Path(path)

    def identity(row: dict[str, str]) -> tuple[str, ...]:
        return tuple(row[column] for column in ("experiment", "variant", "metric", "data"))

    path.parent.mkdir(parents=True, exist_ok=True)
    said: dict[str, None] = {}
    with locked(path):
        there = _read_rows(path)
        old = {identity(row): row for row in there}
        new = {}
        for row in rows:
            before = old.get(identity(row), row)
            theirs, ours = _seeds(before), _seeds(row)
            stays = not theirs <= ours and len(theirs) > len(ours)
            if not theirs <= ours:
                name = f"{row['experiment']} {row['variant']}"
                text = (
                    f"{path} keeps {name} over the seeds {before['seeds']}; over {row['seeds']} "
                    "it is not written"
                    if stays
                    else f"{path} has {name} over the seeds {row['seeds']} now, no longer over "
                    f"{before['seeds']}"
                )
                said[text] = None
            if not stays:
                new[identity(row)] = row
        with replacing(path, newline="") as file:
            writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
            writer.writeheader()
            writer.writerows([row for row in there if identity(row) not in new])
            writer.writerows(new.values())
    return list(said)


def _read_rows(path: Path) -> list[dict[str, str]]:
    """The rows of a results file; none where there is no file."""
    if not path.exists():
        return []
    try:
        with open(path, newline="", encoding="utf-8") as file:
            reader = csv.DictReader(file)
            rows, names = list(reader), reader.fieldnames
    except (UnicodeDecodeError, csv.Error) as error:
        raise ValueError(
            f"`results` must be a CSV file. Received: results={str(path)!r} ({error})."
        ) from error
    if tuple(names or ()) != COLUMNS:
        raise ValueError(
            f"`results` must have the columns {','.join(COLUMNS)}. Received: {names} in {path}."
        )
    return rows


def _seeds(row: dict[str, str]) -> set[str]:
    """The seeds that a row is the mean over."""
    return {seed.strip() for seed in row["seeds"].split(",")}


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
