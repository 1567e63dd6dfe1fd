"""Readers of labeled pairs of texts: paraphrases (MRPC), entailment (RTE, SNLI)."""

import os
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from typing import Any

from .files import read_bytes, read_lines


def read_mrpc(path: str | os.PathLike) -> Iterator[dict[str, str]]:
    """Streams the Microsoft Research Paraphrase Corpus: five columns under a header.

    Quotation marks are letters of the text, not of the format, so lines are cut at tabs alone.

    Args:
        path: str or path of the file, plain or gzip.

    Yields:
        dict of `text`, `pair` and `label`, "different" or "equivalent".

    Raises:
        ValueError: a line of another form; names file and line.
    """
    for number, line in read_lines(path):
        fields = line.split("\t")
        if number == 1 and fields[0] == "Quality":
            continue
        if len(fields) != 5 or fields[0] not in ("0", "1"):
            raise ValueError(
                "Each line must be 0 or 1, two ids and two sentences between tabs. Received: "
                f"{path}, line {number}: {line!r}"
            )
        label = ("different", "equivalent")[int(fields[0])]
        yield {"text": fields[3].strip(), "pair": fields[4].strip(), "label": label}


def read_rte(path: str | os.PathLike) -> Iterator[dict[str, str]]:
    """Streams a set of the PASCAL challenges: XML, `<pair entailment="YES|NO"><t>…</t><h>…</h>`.

    Args:
        path: str or path of the file, plain or gzip.

    Yields:
        dict of `text` (what is known), `pair` (what is claimed) and `label`, "not_entailment" or
        "entailment".

    Raises:
        ValueError: the file is no XML, or a pair lacks a part; names file and pair.
    """
    content = read_bytes(path)
    try:
        root = ElementTree.fromstring(content)
    except (ElementTree.ParseError, LookupError, ValueError) as error:  # or of no known encoding
        raise ValueError(f"`path` must be an XML file. Received: {path} ({error})") from error
    labels = {"YES": "entailment", "NO": "not_entailment"}
    for pair in root.iter("pair"):
        text, claim = pair.findtext("t"), pair.findtext("h")
        answer = pair.get("entailment", "")
        if text is None or claim is None or answer not in labels:
            raise ValueError(
                "Each pair must have a text, a hypothesis and entailment YES or NO. Received: "
                f"{path}, pair {pair.get('id')}: entailment={answer!r}"
            )
        yield {"text": text.strip(), "pair": claim.strip(), "label": labels[answer]}


def read_snli(
    premises: str | os.PathLike, hypotheses: str | os.PathLike, labels: str | os.PathLike
) -> Iterator[dict[str, Any]]:
    """Streams SNLI from three files, line by line beside each other.

    Args:
        premises, hypotheses, labels: str or path of each file, plain or gzip.

    Yields:
        dict of `text`, `pair`, `label` ("entailment", "neutral" or "contradiction") and `group`,
        int: a number that the pairs of one premise share, where they follow each other.

    Raises:
        ValueError: the files have different numbers of lines.
    """
    group, last = -1, None
    streams = (read_lines(path) for path in (premises, hypotheses, labels))
    try:
        for (_, text), (_, pair), (_, label) in zip(*streams, strict=True):
            if text != last:
                group, last = group + 1, text
            yield {"text": text.strip(), "pair": pair.strip(), "label": label, "group": group}
    except ValueError as error:
        if "zip()" not in str(error):
            raise
        raise ValueError(
            "`premises`, `hypotheses` and `labels` must have as many lines. Received: "
            f"{premises}, {hypotheses}, {labels} ({error})"
        ) from error
