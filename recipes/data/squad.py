"""Reader of SQuAD 1.1 and 2.0, and the question corpora that recipes know by name."""

import dataclasses
import gzip
import json
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from .files import GZIP_MAGIC
from .registry import look_up, split_paths


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
        ValueError: the file is not of that form, an answer does not stand where it is said to, or
            a question has no answer and is not marked as impossible; names file and question.
    """
    paragraph_number = -1
    for article_number, article in enumerate(_load(Path(path))):
        for paragraph in article["paragraphs"]:
            paragraph_number += 1
            context = paragraph["context"]
            for entry in paragraph["qas"]:
                found = [] if entry.get("is_impossible") else entry.get("answers", [])
                if not found and not entry.get("is_impossible"):
                    raise ValueError(
                        "Each question must have an answer or be marked is_impossible. Received: "
                        f"{path}, question {entry['id']!r}"
                    )
                for answer in found:
                    start = answer["answer_start"]
                    if context[start : start + len(answer["text"])] != answer["text"]:
                        raise ValueError(
                            "Each answer must stand at its answer_start. Received: "
                            f"{path}, question {entry['id']!r}: {answer['text']!r} at {start}, "
                            f"where the context has "
                            f"{context[start : start + len(answer['text'])]!r}"
                        )
                yield {
                    "id": entry["id"],
                    "question": entry["question"].strip(),
                    "context": context,
                    "answers": [answer["text"] for answer in found],
                    "starts": [answer["answer_start"] for answer in found],
                    "article": article_number,
                    "paragraph": paragraph_number,
                }


def _load(path: Path) -> list[dict[str, Any]]:
    if not path.is_file():
        raise FileNotFoundError(f"`path` must be a file. Received: path={path}.")
    with open(path, "rb") as raw:
        is_gzip = raw.read(2) == GZIP_MAGIC
    try:
        with (gzip.open if is_gzip else open)(path, "rt", encoding="utf-8") as file:
            return json.load(file)["data"]
    except (json.JSONDecodeError, KeyError, TypeError, EOFError) as error:
        raise ValueError(
            f"`path` must be a JSON file in SQuAD's form. Received: {path} ({error!r})."
        ) from error


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
        ValueError: unknown corpus (the nearest is named) or split, or a damaged file.
        FileNotFoundError: the corpus is not below `root`.
    """
    corpus = look_up(CORPORA, name)
    (path,) = split_paths(corpus, root, split)
    found = read_squad(path)
    keep = corpus.keep
    return found if keep is None else (entry for entry in found if keep(split, entry))
