"""Reader of CoNLL-U, the ten-column format of Universal Dependencies."""

import os
from collections.abc import Iterator
from typing import Any

from .files import read_lines

FIELDS = ("tokens", "lemmas", "upos", "xpos", "feats", "heads", "deprels")


def read_conllu(path: str | os.PathLike) -> Iterator[dict[str, Any]]:
    """Streams the sentences of a CoNLL-U file, plain or gzip (encoding: see `files.read_lines`).

    Only syntactic words come out: surface tokens that cover several words (id `3-4`) and empty
    nodes (id `3.1`) are skipped, so that the heads, which count words from 1, index the lists.

    Args:
        path: str or path of the file.

    Yields:
        dict with lists over the words, `tokens` (FORM), `lemmas`, `upos`, `xpos`, `feats` (as
        written, `Case=Nom|Number=Sing` or `_`), `heads` (int, 0 is the root, -1 where the file
        says `_`), `deprels`; and `document`: int, counted from 0 by `# newdoc`; `text`: str, the
        raw sentence of `# text = …` or "".

    Raises:
        FileNotFoundError: no such file.
        ValueError: a line without ten columns, word ids that do not count 1, 2, 3…, or a head
            outside the sentence; names file and line.

    Reference: [CoNLL-U](https://universaldependencies.org/format.html)
    """
    rows: list[list[str]] = []
    document, new_document, text, number = -1, True, "", 0

    def finish():
        # Heads are checked here, since they may point forward.
        heads = []
        for word, row in enumerate(rows, start=1):
            head = -1 if row[6] == "_" else int(row[6]) if row[6].isdecimal() else None
            if head is None or head > len(rows) or head == word:
                raise ValueError(
                    f"{path}, sentence that ends before line {number}: HEAD must be a word of the "
                    f"sentence or 0. Received: {row[6]!r} for word {word} of {len(rows)}"
                )
            heads.append(head)
        columns = [[row[index] for row in rows] for index in (1, 2, 3, 4, 5)]
        values = (*columns, heads, [row[7] for row in rows])
        return {**dict(zip(FIELDS, values, strict=True)), "document": document, "text": text}

    for number, line in read_lines(path):
        if not line.strip():
            if rows:
                document, new_document = document + new_document, False
                yield finish()
            rows, text = [], ""
        elif line.startswith("#"):
            key, _, value = line[1:].partition("=")
            new_document = new_document or key.split()[:1] == ["newdoc"]
            if key.strip() == "text":
                text = value.strip()
        else:
            fields = line.split("\t")
            if len(fields) != 10:
                raise ValueError(
                    f"{path}, line {number}: a line must have 10 columns separated by tabs. "
                    f"Received: {len(fields)} in {line!r}"
                )
            if "-" in fields[0] or "." in fields[0]:
                continue
            if fields[0] != str(len(rows) + 1):
                raise ValueError(
                    f"{path}, line {number}: the word's id must be {len(rows) + 1}. "
                    f"Received: {fields[0]!r}"
                )
            rows.append(fields)
    if rows:
        number += 1
        document += new_document
        yield finish()
