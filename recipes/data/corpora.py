"""The corpora that recipes know by name: files below `data.root`, format, tag scheme, licence."""

import dataclasses
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from . import tag_schemes
from .columns import read_columns
from .conllu import read_conllu
from .registry import look_up, no_examples, split_paths
from .tokens import read_tokens

SPLITS = ("train", "dev", "test")


@dataclasses.dataclass(frozen=True)
class Corpus:
    """Where a corpus lies and how it is read.

    Args:
        name: str. The name that a recipe's `task.corpus` takes.
        task: str. "ner", "pos" or "language_modeling".
        files: mapping of split to path below `data.root`.
        read: function of a path that streams dicts with `tokens`, `document` and, for tagging,
            `tags`.
        licence: str.
        scheme: str. Tag scheme of the file; None: tags are not spans.
        keep: function of split and document index; False leaves the sentence out. For a corpus
            published as one file.
        root: str or None. Folder of a corpus that is part of the package; None: `data.root`.
    """

    name: str
    task: str
    files: Mapping[str, str]
    read: Callable[[os.PathLike], Iterator[dict[str, Any]]]
    licence: str
    scheme: str | None = None
    keep: Callable[[str, int], bool] | None = None
    root: str | None = None


def every_tenth_document(split: str, document: int) -> bool:
    """The fixed split of WikiGold, which is published without one.

    Of every ten documents, in file order, the first is test, the second dev, the other eight
    train: 1,323 / 153 / 220 sentences with 2,803 / 343 / 412 entities. No document is cut,
    nothing is drawn by chance.
    """
    return {0: "test", 1: "dev"}.get(document % 10, "train") == split


def _read_wnut(path):
    return read_columns(path, ("tokens", "tags"), separator="\t", document_marker=None)


def _read_wikigold(path):
    return read_columns(path, ("tokens", "tags"), separator=" ")


def _read_upos(path):
    return ({**sentence, "tags": sentence["upos"]} for sentence in read_conllu(path))


def _read_xpos(path):
    return ({**sentence, "tags": sentence["xpos"]} for sentence in read_conllu(path))


def _read_text(path):
    return ({**sentence, "document": 0} for sentence in read_tokens(path))


def _read_sample_entities(path):
    return read_columns(path, ("tokens", "upos", "tags"), separator="\t")


def _read_sample_upos(path):
    return read_columns(path, ("tokens", "tags", "entities"), separator="\t")


def _three(pattern: str, names=SPLITS) -> dict[str, str]:
    return {split: pattern.format(name) for split, name in zip(SPLITS, names, strict=True)}


_EWT = {
    "files": _three("pos_dep/ud_english_ewt/en_ewt-ud-{}.conllu.gz"),
    "licence": "CC BY-SA 4.0",
}

_SAMPLE = {
    "files": _three("{}.conll"),
    "licence": "CC0",
    "root": str(Path(__file__).parents[1] / "samples"),
}

CORPORA = {
    corpus.name: corpus
    for corpus in (
        Corpus(
            "wnut17",
            "ner",
            _three(
                "ner/wnut17/{}",
                ("wnut17train.conll", "emerging.dev.conll", "emerging.test.annotated"),
            ),
            _read_wnut,
            "CC BY 4.0",
            scheme="BIO",
        ),
        Corpus(
            "wikigold",
            "ner",
            _three("ner/wikigold/wikigold.conll.txt"),
            _read_wikigold,
            "CC BY 4.0",
            scheme="IO",
            keep=every_tenth_document,
        ),
        *(
            Corpus(
                f"crossner_{domain}",
                "ner",
                _three(f"ner/crossner/{domain}/{{}}.txt"),
                _read_wnut,
                "MIT (repository); text from Wikipedia",
                scheme="BIO",
            )
            for domain in ("ai", "literature", "music", "politics", "science")
        ),
        Corpus("ewt", "pos", read=_read_upos, **_EWT),
        Corpus("ewt_xpos", "pos", read=_read_xpos, **_EWT),
        Corpus("sample_ner", "ner", read=_read_sample_entities, scheme="BIO", **_SAMPLE),
        Corpus("sample_pos", "pos", read=_read_sample_upos, **_SAMPLE),
        Corpus("sample_text", "language_modeling", read=_read_sample_upos, **_SAMPLE),
        Corpus(
            "wikitext2",
            "language_modeling",
            _three("lm/wikitext-2/{}.txt.gz", ("train", "valid", "test")),
            _read_text,
            "CC BY-SA 3.0 / GFDL",
        ),
    )
}


def get(name: str) -> Corpus:
    """Returns the corpus of that name; an unknown name is answered with the nearest."""
    return look_up(CORPORA, name)


def split_path(name: str, root: str | os.PathLike | None, split: str) -> Path:
    """Returns the file of a corpus' split, for those who read it in a way of their own.

    Raises:
        ValueError: unknown corpus or split.
        FileNotFoundError: the corpus is not below `root`.
    """
    (path,) = split_paths(get(name), root, split)
    return path


def sentences(
    name: str, root: str | os.PathLike | None, split: str, scheme: str = "BIO"
) -> Iterator[dict[str, Any]]:
    """Streams the sentences of a corpus.

    Arguments and the file's presence are checked at the call, not at the first sentence.

    Args:
        name: str. Key of `CORPORA`.
        root: str or path. The folder `data.root`; a sample in the package needs none.
        split: str. "train", "dev" or "test".
        scheme: str. Tag scheme that comes out where the tags are spans.

    Returns:
        iterator of dict with `tokens`, `document` and, except for language modeling, `tags`, and
        whatever more the reader gives.

    Raises:
        ValueError: unknown corpus, split or scheme, a damaged file, or, at the end, a split without
            a sentence.
        FileNotFoundError: the corpus is not below `root`.
    """
    target = tag_schemes.canonical_scheme(scheme)
    return _stream(get(name), split_path(name, root, split), split, target)


def _stream(corpus: Corpus, path, split: str, scheme: str) -> Iterator[dict[str, Any]]:
    is_empty = True
    for number, sentence in enumerate(corpus.read(path)):
        if corpus.keep is not None and not corpus.keep(split, sentence["document"]):
            continue
        if corpus.scheme is not None:
            try:
                sentence["tags"] = tag_schemes.convert(sentence["tags"], corpus.scheme, scheme)
            except ValueError as error:
                raise ValueError(f"{path}, sentence {number}: {error}") from error
        is_empty = False
        yield sentence
    if is_empty:
        raise no_examples("sentence", split, corpus.name, [path])
