"""Reader of column files: one token a line, a blank line between sentences (CoNLL 2000–2003)."""

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from . import tag_schemes
from .files import read_lines

# Not `str.split()`: that also splits at no-break and ideographic spaces, which occur inside tokens.
_BLANKS = re.compile(r"[ \t]+")


def read_columns(
    path: str | os.PathLike,
    columns: Sequence[str | None] | Mapping[str, int] = ("tokens", "tags"),
    separator: str | None = None,
    comment: str | None = None,
    document_marker: str | None = "-DOCSTART-",
    tag_column: str = "tags",
    source_scheme: str | None = None,
    target_scheme: str | None = None,
) -> Iterator[dict[str, Any]]:
    """Streams the sentences of a column file, plain or gzip (encoding: see `files.read_lines`).

    Every line must have as many columns as the first one: a line that lost or gained a column is
    damaged, and reading it would pair a token with the wrong tag.

    Args:
        path: str or path of the file.
        columns: names. A sequence names all columns of the file from the left, with None for a
            column to skip; a mapping picks columns by index, negative ones from the right:
            `{"tokens": 0, "tags": -1}` reads CoNLL-2003.
        separator: str. What stands between two columns, e.g. `"\\t"`; None: any run of spaces and
            tabs.
        comment: str. Lines that start with it are skipped; None: there are no comments (in tweets
            `#` starts a token).
        document_marker: str. A line whose first column is this starts a new document and is no
            sentence; None: there are no such lines.
        tag_column: str. The column that the two schemes speak of.
        source_scheme: str. Scheme of the file's tags, checked while reading; None: not span tags.
        target_scheme: str. Scheme of the tags that come out; None: as in the file.

    Yields:
        dict of one list of str for each named column, and `document`: int, the document's index
        counted from 0 over documents that hold a sentence.

    Raises:
        FileNotFoundError: no such file.
        ValueError: bad arguments; or a line with too few or too many columns, an empty column or a
            tag against the scheme, naming file and line.
    """
    indices, width = _column_indices(columns)
    if "document" in indices:
        raise ValueError(f"`columns` must leave the name `document` free. Received: {columns}")
    if separator == "":
        raise ValueError("`separator` must be None or at least one character. Received: ''")
    if target_scheme and not source_scheme:
        raise ValueError(
            "`source_scheme` must be given with `target_scheme`. Received: "
            f"source_scheme={source_scheme}, target_scheme={target_scheme}"
        )
    if source_scheme and tag_column not in indices:
        raise ValueError(
            f"`tag_column` must be one of `columns` when a scheme is given. Received: "
            f"tag_column={tag_column!r}, columns={columns}"
        )
    least = _least_width(indices)

    def finish(rows, first_line, document):
        sentence: dict[str, Any] = {
            name: [row[index] for row in rows] for name, index in indices.items()
        }
        if source_scheme:
            tags = sentence[tag_column]
            try:
                sentence[tag_column] = tag_schemes.convert(
                    tags, source_scheme, target_scheme or source_scheme
                )
            except ValueError as error:
                raise ValueError(
                    f"{path}, sentence that starts at line {first_line}: {error}"
                ) from error
        sentence["document"] = document
        return sentence

    rows: list[list[str]] = []
    first_line, document, new_document = 1, -1, True
    for number, line in read_lines(path):
        blank = not line.strip(" \t")
        fields = [] if blank else _BLANKS.split(line.strip(" \t"))
        is_marker = not blank and document_marker is not None and fields[0] == document_marker
        if blank or is_marker:
            if rows:
                document, new_document = document + new_document, False
                yield finish(rows, first_line, document)
                rows = []
            new_document = new_document or is_marker
            continue
        if comment is not None and line.startswith(comment):
            continue
        if separator is not None:
            fields = line.split(separator)
        if width is None:
            width = len(fields)
        if len(fields) != width or len(fields) < least:
            raise ValueError(
                f"{path}, line {number}: a line must have {max(width, least)} columns separated "
                f"by {'blanks' if separator is None else repr(separator)}. Received: "
                f"{len(fields)} in {line!r}"
            )
        for name, index in indices.items():
            if not fields[index]:
                raise ValueError(
                    f"{path}, line {number}: column {name!r} must not be empty. Received: {line!r}"
                )
        if not rows:
            first_line = number
        rows.append(fields)
    if rows:
        yield finish(rows, first_line, document + new_document)


def _column_indices(columns) -> tuple[dict[str, int], int | None]:
    """Returns {name: index} and the number of columns where `columns` states it."""
    if isinstance(columns, Mapping):
        indices, width = dict(columns), None
    elif isinstance(columns, str):
        raise ValueError(f"`columns` must be names or a mapping. Received: columns={columns!r}")
    else:
        indices = {name: index for index, name in enumerate(columns) if name is not None}
        width = len(columns)
        if len(indices) != sum(name is not None for name in columns):
            raise ValueError(f"`columns` must name each column once. Received: columns={columns}")
    if not indices:
        raise ValueError(f"`columns` must name at least one column. Received: columns={columns}")
    return indices, width


def _least_width(indices: Mapping[str, int]) -> int:
    """Columns a line needs so that one counted from the left and one from the right differ."""
    left = max((index + 1 for index in indices.values() if index >= 0), default=0)
    right = max((-index for index in indices.values() if index < 0), default=0)
    return left + right
