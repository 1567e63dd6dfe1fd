"""ShardResult: what became of the lines of a shard."""

from __future__ import annotations

import dataclasses

import numpy as np

from .shard import Shard


@dataclasses.dataclass
class Row:
    """One embedded line.

    Args:
        line: int. Its number in the file, from 1.
        text: str. What was embedded: the line without the white space around it.
        tokens: int. Tokens that the model saw.
        outputs: dict of name to array, without batch axis and without padding.
    """

    line: int
    text: str
    tokens: int
    outputs: dict[str, np.ndarray]


@dataclasses.dataclass
class BadLine:
    """One line that could not be embedded.

    Args:
        line: int. Its number in the file, from 1.
        raw: bytes. The line as it is in the file.
        reason: str.
    """

    line: int
    raw: bytes
    reason: str


@dataclasses.dataclass
class ShardResult:
    """Each line of the shard is in `rows`, in `bad`, or was blank.

    Args:
        shard: Shard.
        rows: list of Row, by line.
        bad: list of BadLine, by line.
        blank: int. Lines of nothing but white space, which have no vector.
        kinds: dict of name to (dtype, number of axes), of all outputs that a row has, as far as
            the signature tells the axes. They are known where there are no rows, too.
    """

    shard: Shard
    rows: list[Row]
    bad: list[BadLine]
    blank: int
    kinds: dict[str, tuple[str, int]]
