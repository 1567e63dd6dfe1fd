"""Reader of SQuAD 1.1 and 2.0, and the question corpora that recipes know by name."""

import dataclasses
import json
import os
import reprlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

from .files import read_bytes
from .registry import look_up, no_examples, split_paths

T = TypeVar("T")


def read_squad(path: str | os.PathLike) -> Iterator[dict[str, Any]]:
    """Streams the questions of a SQuAD file, 1.1 or 2.0, plain or gzip.

    Args:
        path: str or path of the JSON file.

    Yields:
        dict of `id`, `question`, `context`: str; `answers`: list of str, empty where the question
        cannot be answered; `starts`: list of int, each answer's first character in the context;
        `article` and `paragraph`: int, counted from 0 over the file.

    Raises:
        FileNotFoundError: no such file.
        ValueError: the file is damaged or not of that form, an answer does not stand where it is
            said to, or a question has no answer and is not marked as impossible; names file and
            question.
    """
    paragraph_number = -1
    for article_number, article in enumerate(_load(path)):
        where = f"{path}, article {article_number}"
        for paragraph in _part(article, "paragraphs", list, where):
            paragraph_number += 1
            where = f"{path}, paragraph {paragraph_number}"
            context = _part(paragraph, "context", str, where)
            for number, entry in enumerate(_part(paragraph, "qas", list, where)):
                yield {
                    **_question(entry, context, where, number),
                    "article": article_number,
                    "paragraph": paragraph_number,
                }


def _question(entry: Any, context: str, where: str, number: int) -> dict[str, Any]:
    """Checks a question, and the answers that the context has to it."""
    name = _part(entry, "id", str, f"{where}, question {number}")
    where = f"{where}, question {name!r}"
    question = _part(entry, "question", str, where).strip()
    impossible = entry.get("is_impossible")
    found = [] if impossible else _part({"answers": [], **entry}, "answers", list, where)
    if not found and not impossible:
        raise ValueError(
            f"Each question must have an answer or be marked is_impossible. Received: {where}"
        )
    if not context.strip():
        raise ValueError(f"Each context must hold text. Received: {where}, context={context!r}")
    texts = [_part(answer, "text", str, where) for answer in found]
    starts = [_part(answer, "answer_start", int, where) for answer in found]
    for text, start in zip(texts, starts, strict=True):
        if not text.strip():
            raise ValueError(f"Each answer must hold text. Received: {where}, text={text!r}")
        if context[start : start + len(text)] != text:
            raise ValueError(
                f"Each answer must stand at its answer_start. Received: {where}: {text!r} at "
                f"{start}, where the context has {context[start : start + len(text)]!r}"
            )
    return {
        "id": name,
        "question": question,
        "context": context,
        "answers": texts,
        "starts": starts,
    }


_KINDS = {list: "a list", str: "a text", int: "a whole number"}


def _part(whole: Any, name: str, kind: type[T], where: str) -> T:
    """Returns a part of a JSON object, which must be of a kind."""
    part = whole.get(name) if isinstance(whole, dict) else None
    if not isinstance(part, kind) or isinstance(part, bool):
        raise ValueError(
            f"`path` must be a file in SQuAD's form, where `{name}` is {_KINDS[kind]}. Received: "
            f"{where}, {name}={reprlib.repr(part)}"
        )
    return part


def _load(path: str | os.PathLike) -> list[Any]:
    content = read_bytes(path)
    try:
        whole = json.loads(content)  # of any UTF, with or without a byte-order mark
    except ValueError as error:  # no JSON, or no UTF
        raise ValueError(
            f"`path` must be a JSON file in SQuAD's form. Received: {path} ({error})."
        ) from error
    return _part(whole, "data", list, str(path))


@dataclasses.dataclass(frozen=True)
class QuestionCorpus:
    """Where questions lie.

    Args:
        name: str. The name that a recipe's `corpus` option takes.
        files: mapping of split to path below `data.root`.
        licence: str.
        keep: function of split and question; False leaves the question out.
        root: str or None. Folder of a corpus that does not lie below `data.root`.
    """

    name: str
    files: Mapping[str, str]
    licence: str
    keep: Callable[[str, Mapping[str, Any]], bool] | None = None
    root: str | None = None


def _every_tenth_paragraph(split: str, question: Mapping[str, Any]) -> bool:
    """Of the training part every tenth paragraph is dev; the published dev part is test."""
    return split == "test" or (question["paragraph"] % 10 == 0) == (split == "dev")


def _by_article(split: str, question: Mapping[str, Any]) -> bool:
    """Of every eight articles of the published dev part the first is test, the second dev."""
    return {0: "test", 1: "dev"}.get(question["article"] % 8, "train") == split


_SAMPLE = "qa/squad1.1/train_sample_4284_tokenized.json.gz"
_DEV = "qa/squad1.1/dev-v1.1.json.gz"
_TRAIN_20, _DEV_20 = "qa/squad2.0/train-v2.0.json", "qa/squad2.0/dev-v2.0.json"

CORPORA = {
    corpus.name: corpus
    for corpus in (
        QuestionCorpus(
            "squad11",
            {"train": _SAMPLE, "dev": _SAMPLE, "test": _DEV},
            "CC BY-SA 4.0",
            _every_tenth_paragraph,
        ),
        QuestionCorpus(
            "squad11_articles",
            {"train": _DEV, "dev": _DEV, "test": _DEV},
            "CC BY-SA 4.0",
            _by_article,
        ),
        # The published files, under their own names, plain or gzip. The test part is secret.
        QuestionCorpus(
            "squad20",
            {"train": _TRAIN_20, "dev": _TRAIN_20, "test": _DEV_20},
            "CC BY-SA 4.0",
            _every_tenth_paragraph,
        ),
    )
}


def questions(name: str, root: str | os.PathLike | None, split: str) -> Iterator[dict[str, Any]]:
    """Streams the questions of a corpus, as `read_squad` does.

    Args:
        name: str. Key of `CORPORA`.
        root: str or path. The folder `data.root`.
        split: str. "train", "dev" or "test".

    Raises:
        ValueError: unknown corpus (the nearest is named) or split, a damaged file, or, at the end,
            a split without a question.
        FileNotFoundError: the corpus is not below `root`.
    """
    corpus = look_up(CORPORA, name)
    (path,) = split_paths(corpus, root, split)
    return _stream(corpus, path, split)


def _stream(corpus: QuestionCorpus, path: Path, split: str) -> Iterator[dict[str, Any]]:
    is_empty = True
    for question in read_squad(path):
        if corpus.keep is None or corpus.keep(split, question):
            is_empty = False
            yield question
    if is_empty:
        raise no_examples("question", split, corpus.name, [path])
