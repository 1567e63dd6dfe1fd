"""Readers of labeled texts: a sentence and its class (SST-2, TREC, CoLA)."""

import os
from collections.abc import Iterator

from .files import read_lines


def read_sst2(path: str | os.PathLike) -> Iterator[dict[str, str]]:
    """Streams SST-2 at the level of sentences: `text TAB 0|1`, no header.

    Args:
        path: str or path of the file, plain or gzip.

    Yields:
        dict of `text` and `label`, "negative" or "positive".

    Raises:
        ValueError: a line of another form; names file and line.
    """
    for number, line in read_lines(path):
        text, tab, mark = line.rpartition("\t")
        if not tab or mark not in ("0", "1"):
            raise ValueError(
                f"Each line must be a text, a tab and 0 or 1. Received: {path}, line {number}: "
                f"{line!r}"
            )
        yield {"text": text.strip(), "label": ("negative", "positive")[int(mark)]}


def read_trec(path: str | os.PathLike, fine: bool = False) -> Iterator[dict[str, str]]:
    """Streams TREC's questions: `COARSE:fine question`, in ISO 8859-1.

    Args:
        path: str or path of the file, plain or gzip.
        fine: bool. The label is the whole "COARSE:fine", else "COARSE".

    Yields:
        dict of `text` and `label`.

    Raises:
        ValueError: a line of another form; names file and line.
    """
    for number, line in read_lines(path, encoding="latin-1"):
        label, blank, text = line.partition(" ")
        coarse, colon, _ = label.partition(":")
        if not blank or not colon or not text.strip():
            raise ValueError(
                "Each line must be a label with a colon, a blank and a question. Received: "
                f"{path}, line {number}: {line!r}"
            )
        yield {"text": text.strip(), "label": label if fine else coarse}


def read_cola(path: str | os.PathLike) -> Iterator[dict[str, str]]:
    """Streams CoLA: `source TAB 0|1 TAB mark TAB sentence`, no header.

    Args:
        path: str or path of the file, plain or gzip.

    Yields:
        dict of `text` and `label`, "unacceptable" or "acceptable".

    Raises:
        ValueError: a line of another form; names file and line.
    """
    for number, line in read_lines(path):
        fields = line.split("\t")
        if len(fields) != 4 or fields[1] not in ("0", "1"):
            raise ValueError(
                "Each line must be source, 0 or 1, mark and sentence between tabs. Received: "
                f"{path}, line {number}: {line!r}"
            )
        label = ("unacceptable", "acceptable")[int(fields[1])]
        yield {"text": fields[3].strip(), "label": label}
