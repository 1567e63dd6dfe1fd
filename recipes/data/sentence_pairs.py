"""Documents to the inputs of BERT's pre-training: two segments, or one, of whole sentences."""

import random
from collections.abc import Iterator, Sequence
from typing import Any

Sentence = Sequence[int]


def sentence_pairs(
    documents: Sequence[Sequence[Sentence]],
    max_pieces: int,
    rng: random.Random,
    short_sequence_probability: float = 0.1,
) -> Iterator[dict[str, Any]]:
    """One pass over the documents as pairs of segments, in half of which the second is a stranger.

    Sentences of a document are collected until they fill a row. The first few, a random number, are
    the first segment; the second is what follows in the document or, in half of the cases, text
    from a random place of another document, and then the sentences that it replaced are used again.
    A pair that is too long loses pieces of its longer segment, at either end by chance. A segment
    never reaches over the end of a document.

    Args:
        documents: at least two, each a list of sentences, each a list of piece ids.
        max_pieces: int. Pieces of both segments together: the sequence length less three.
        rng: random.Random. Decides everything.
        short_sequence_probability: float. Share of rows that aim at a random shorter length, so
            that the model also meets short texts.

    Yields:
        dict of `first`, `second`: lists of piece ids, none empty; `is_random`: int, 1 where the
        second does not follow the first.

    Raises:
        ValueError: fewer than two documents with sentences, or `max_pieces` less than 2.

    Example:
    >>> texts = [[[1, 2], [3]], [[4], [5, 6]]]
    >>> pairs = list(sentence_pairs(texts, max_pieces=4, rng=random.Random(1)))
    >>> all(len(pair["first"]) + len(pair["second"]) <= 4 for pair in pairs)
    True

    Reference: [Devlin et al., 2019](https://arxiv.org/abs/1810.04805), section 3.1 and A.2
    """
    documents = _filled(documents)
    if len(documents) < 2:
        raise ValueError(
            "`documents` must be at least two with sentences, so that one can lend the other a "
            f"random segment. Received: {len(documents)}"
        )
    _check_pieces(max_pieces, 2)
    order = list(range(len(documents)))
    rng.shuffle(order)
    for index in order:
        yield from _pairs_of(documents, index, max_pieces, rng, short_sequence_probability)


def _pairs_of(documents, index, max_pieces, rng, short_probability) -> Iterator[dict[str, Any]]:
    document = documents[index]
    target = _target(max_pieces, rng, short_probability)
    position, chunk, length = 0, [], 0
    while position < len(document):
        chunk.append(document[position])
        length += len(document[position])
        position += 1
        if position < len(document) and length < target:
            continue
        split = rng.randint(1, len(chunk) - 1) if len(chunk) > 1 else 1
        first = _joined(chunk[:split])
        is_random = len(chunk) == 1 or rng.random() < 0.5
        if is_random:
            second = _stranger(documents, index, target - len(first), rng)
            position -= len(chunk) - split  # what the stranger replaced comes again
        else:
            second = _joined(chunk[split:])
        _trim_pair(first, second, max_pieces, rng)
        yield {"first": first, "second": second, "is_random": int(is_random)}
        target = _target(max_pieces, rng, short_probability)
        chunk, length = [], 0


def _stranger(documents, index, length, rng) -> list[int]:
    """Sentences from a random place of another document, at least one."""
    other = rng.randrange(len(documents) - 1)
    document = documents[other + (other >= index)]
    start = rng.randrange(len(document))
    pieces: list[int] = []
    for sentence in document[start:]:
        pieces += sentence
        if len(pieces) >= length:
            break
    return pieces


def _trim_pair(first: list[int], second: list[int], max_pieces: int, rng: random.Random) -> None:
    """Shortens, in place, the longer of both by one piece, front or back, until they fit."""
    while len(first) + len(second) > max_pieces:
        longer = first if len(first) > len(second) else second
        del longer[0 if rng.random() < 0.5 else -1]


def sentence_runs(
    documents: Sequence[Sequence[Sentence]],
    max_pieces: int,
    rng: random.Random,
    short_sequence_probability: float = 0.1,
) -> Iterator[dict[str, Any]]:
    """One pass over the documents as single segments of whole sentences that follow each other.

    As `sentence_pairs`, without the second segment: what a model reads that does not learn to
    predict the next sentence. A sentence longer than a row is cut into several.

    Args:
        documents: each a list of sentences, each a list of piece ids.
        max_pieces: int. Pieces of a segment: the sequence length less two.
        rng, short_sequence_probability: see `sentence_pairs`.

    Yields:
        dict of `first`: list of piece ids, `second`: [] and `is_random`: 0.

    Example:
    >>> runs = sentence_runs([[[1, 2], [3], [4, 5]]], 3, random.Random(0), 0.0)
    >>> [run["first"] for run in runs]
    [[1, 2, 3], [4, 5]]
    """
    _check_pieces(max_pieces, 1)
    documents = _filled(documents)
    order = list(range(len(documents)))
    rng.shuffle(order)
    for index in order:
        target = _target(max_pieces, rng, short_sequence_probability)
        run: list[int] = []
        for sentence in documents[index]:
            if run and len(run) + len(sentence) > target:
                yield {"first": run, "second": [], "is_random": 0}
                target = _target(max_pieces, rng, short_sequence_probability)
                run = []
            run = [*run, *sentence]
            while len(run) > max_pieces:
                yield {"first": run[:max_pieces], "second": [], "is_random": 0}
                run = run[max_pieces:]
        if run:
            yield {"first": run, "second": [], "is_random": 0}


def _filled(documents) -> list[list[Sentence]]:
    """The documents that have sentences, and their sentences that have pieces."""
    filled = ([sentence for sentence in document if len(sentence)] for document in documents)
    return [document for document in filled if document]


def _target(max_pieces: int, rng: random.Random, short_probability: float) -> int:
    if rng.random() < short_probability:
        return rng.randint(min(2, max_pieces), max_pieces)
    return max_pieces


def _joined(sentences: Sequence[Sentence]) -> list[int]:
    return [piece for sentence in sentences for piece in sentence]


def _check_pieces(max_pieces: int, least: int) -> None:
    if max_pieces < least:
        raise ValueError(
            f"`max_pieces` must be at least {least}. Received: max_pieces={max_pieces}"
        )
