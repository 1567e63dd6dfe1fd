"""How `corpora`, `texts` and `squad` look up what they know by name."""

import difflib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from .files import resolve

T = TypeVar("T")


def look_up(known: Mapping[str, T], name: str) -> T:
    """Returns the corpus of that name.

    Args:
        known: mapping of name to corpus.
        name: str.

    Raises:
        ValueError: the name is unknown; the nearest ones are named.

    Example:
    >>> look_up({"sst2": 1, "trec": 2}, "trec")
    2
    """
    if name not in known:
        near = difflib.get_close_matches(name, known, n=3, cutoff=0.4)
        hint = f" Nearest: {', '.join(near)}." if near else ""
        raise ValueError(
            f"`task.corpus` must be one of {', '.join(sorted(known))}. Received: "
            f"corpus={name!r}.{hint}"
        )
    return known[name]


def split_paths(corpus: Any, root: str | os.PathLike | None, split: str) -> list[Path]:
    """Returns the files of a split, which are there.

    Args:
        corpus: has `files`, a mapping of split to one path or several, and `root`.
        root: str or path. The folder `data.root`, of a corpus that has none of its own.
        split: str. "train", "dev" or "test".

    Raises:
        ValueError: the corpus has no such split.
        FileNotFoundError: a file is not below `root`.
    """
    if split not in corpus.files:
        raise ValueError(
            f"`split` must be one of {', '.join(corpus.files)}. Received: split={split!r}"
        )
    files = corpus.files[split]
    files = (files,) if isinstance(files, str) else files
    return [resolve(corpus.root or root, file) for file in files]


def no_examples(what: str, split: str, name: str, paths: Sequence[Path]) -> ValueError:
    """The error of a split without any example.

    Args:
        what: str. What an example is: "sentence".
        split, name: str. Of the corpus.
        paths: files of the split.
    """
    return ValueError(
        f"`data.root` must hold at least one {what} of the {split} split of {name}. Received: "
        f"none, in {', '.join(map(str, paths))}."
    )
