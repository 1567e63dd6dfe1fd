"""The corpora of labeled texts and pairs that recipes know by name."""

import dataclasses
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from .classification import read_cola, read_sst2, read_trec
from .pairs import read_mrpc, read_rte, read_snli
from .registry import look_up, no_examples, split_paths

Read = Callable[..., Iterator[dict[str, Any]]]


@dataclasses.dataclass(frozen=True)
class TextCorpus:
    """Where a corpus of labeled texts lies, how it is read and scored.

    Args:
        name: str. The name that a recipe's `corpus` option takes.
        files: mapping of split to paths below `data.root`.
        read: function of all paths of a split that streams dicts with `text`, `label` and, for
            pairs, `pair`; `group` where examples must not be torn apart by `keep`.
        labels: tuple of str, the last one the positive class where there are two; None: the label
            is a number, to be predicted as such.
        metrics: tuple of str, out of `recipes.metrics.label_scores`; the first one is followed.
        licence: str.
        is_pair: bool.
        keep: function of split and group (an example's number if it has none); False leaves the
            example out. For a corpus published without a dev or train part.
        root: str or None. Folder of a corpus that does not lie below `data.root`.
    """

    name: str
    files: Mapping[str, tuple[str, ...]]
    read: Read
    labels: tuple[str, ...] | None
    metrics: tuple[str, ...]
    licence: str
    is_pair: bool = False
    keep: Callable[[str, int], bool] | None = None
    root: str | None = None


def dev_is_every(number: int) -> Callable[[str, int], bool]:
    """Holds out one of `number` groups, in file order, the first of each run, as dev.

    Example:
    >>> keep = dev_is_every(3)
    >>> [keep("dev", group) for group in range(4)], keep("test", 1)
    ([True, False, False, True], True)
    """

    def keep(split: str, group: int) -> bool:
        if split == "test":
            return True
        return (group % number == 0) == (split == "dev")

    return keep


def _each(read: Read) -> Read:
    """Reads the files of a split one after the other."""

    def read_all(*paths):
        for path in paths:
            yield from read(path)

    return read_all


def _read_fine_trec(path):
    return read_trec(path, fine=True)


_TREC: dict[str, Any] = {
    "files": {
        "train": ("textcls/trec/train.txt",),
        "dev": ("textcls/trec/train.txt",),
        "test": ("textcls/trec/test.txt",),
    },
    "metrics": ("accuracy",),
    "licence": "none shipped; published for research use",
    "keep": dev_is_every(12),  # 455 questions; CoVe held out 452
}

_FINE = {
    "ABBR": "abb exp",
    "DESC": "def desc manner reason",
    "ENTY": "animal body color cremat currency dismed event food instru lang letter other plant "
    "product religion sport substance symbol techmeth termeq veh word",
    "HUM": "desc gr ind title",
    "LOC": "city country mount other state",
    "NUM": "code count date dist money ord other perc period speed temp volsize weight",
}

CORPORA = {
    corpus.name: corpus
    for corpus in (
        TextCorpus(
            "sst2",
            {split: (f"textcls/sst2/{split}.tsv",) for split in ("train", "dev", "test")},
            read_sst2,
            ("negative", "positive"),
            ("accuracy",),
            "none shipped; offered for research",
        ),
        TextCorpus("trec", read=read_trec, labels=tuple(_FINE), **_TREC),
        TextCorpus(
            "trec_fine",
            read=_read_fine_trec,
            labels=tuple(f"{coarse}:{fine}" for coarse in _FINE for fine in _FINE[coarse].split()),
            **_TREC,
        ),
        TextCorpus(
            "cola",
            {
                "train": ("pairs/cola/in_domain_train.tsv",),
                "dev": ("pairs/cola/in_domain_dev.tsv",),
                # GLUE's own test labels are secret: the sources that training has not seen.
                "test": ("pairs/cola/out_of_domain_dev.tsv",),
            },
            read_cola,
            ("unacceptable", "acceptable"),
            ("matthews", "accuracy"),
            "research use",
        ),
        TextCorpus(
            "mrpc",
            {
                split: (f"pairs/mrpc/msr-para-{name}.tsv",)
                for split, name in (("train", "train"), ("dev", "val"), ("test", "test"))
            },
            read_mrpc,
            ("different", "equivalent"),
            ("f1", "accuracy"),
            "Microsoft Research Shared Source: non-commercial",
            is_pair=True,
        ),
        TextCorpus(
            "rte",
            {
                "train": ("pairs/rte/rte2_test.xml", "pairs/rte/rte3_dev.xml"),
                "dev": ("pairs/rte/rte2_dev.xml",),
                "test": ("pairs/rte/rte3_test.xml",),
            },
            _each(read_rte),
            ("not_entailment", "entailment"),
            ("accuracy",),
            "none shipped; PASCAL challenge data",
            is_pair=True,
        ),
        TextCorpus(
            "snli",
            {
                split: tuple(f"pairs/snli/{part}.{name}" for part in ("s1", "s2", "labels"))
                for split, name in (("train", "dev"), ("dev", "dev"), ("test", "test"))
            },
            read_snli,
            ("entailment", "neutral", "contradiction"),
            ("accuracy",),
            "CC BY-SA 4.0",
            is_pair=True,
            keep=dev_is_every(10),  # of the published dev part: there is no train part
        ),
    )
}


def get(name: str) -> TextCorpus:
    """Returns the corpus of that name; an unknown name is answered with the nearest."""
    return look_up(CORPORA, name)


def examples(name: str, root: str | os.PathLike | None, split: str) -> Iterator[dict[str, Any]]:
    """Streams the examples of a corpus.

    Arguments and the files' presence are checked at the call, not at the first example.

    Args:
        name: str. Key of `CORPORA`.
        root: str or path. The folder `data.root`.
        split: str. "train", "dev" or "test".

    Returns:
        iterator of dict of `text`: str, `pair`: str ("" for a single text) and `label`: int, index
        of the corpus' labels, or float where they are numbers.

    Raises:
        ValueError: unknown corpus or split, a damaged file, a label outside the corpus' set,
            naming file and example, or, at the end, a split without an example.
        FileNotFoundError: the corpus is not below `root`.
    """
    corpus = get(name)
    return _stream(corpus, split_paths(corpus, root, split), split)


def _stream(corpus: TextCorpus, paths: list[Path], split: str) -> Iterator[dict[str, Any]]:
    is_empty = True
    for number, example in enumerate(corpus.read(*paths)):
        if corpus.keep is not None and not corpus.keep(split, example.get("group", number)):
            continue
        label = example["label"]
        if corpus.labels is None:
            value = float(label)
        elif label in corpus.labels:
            value = corpus.labels.index(label)
        else:
            raise ValueError(
                f"Labels of {corpus.name} must be one of {', '.join(corpus.labels)}. Received: "
                f"{label!r}, {paths[0]}, example {number}"
            )
        is_empty = False
        yield {"text": example["text"], "pair": example.get("pair", ""), "label": value}
    if is_empty:
        raise no_examples("example", split, corpus.name, paths)
