"""Pre-training rows: documents are not mixed, half of the pairs are strangers, all text is used."""

import random
from collections import Counter

import numpy as np
import pytest

from polysemy.recipes.data.sentence_pairs import sentence_pairs, sentence_runs

RNG = np.random.default_rng(2)
# Piece 1000 d + n is the n-th of document d.
DOCUMENTS = []
for d in range(20):
    lengths, position, document = RNG.integers(1, 9, size=RNG.integers(1, 40)), 0, []
    for length in lengths:
        document.append([1000 * d + position + i for i in range(length)])
        position += int(length)
    DOCUMENTS.append(document)


def pairs(max_pieces=20, seed=1, short=0.1):
    return list(sentence_pairs(DOCUMENTS, max_pieces, random.Random(seed), short))


def is_run(pieces):
    """Whether pieces follow each other in one document."""
    return pieces == list(range(pieces[0], pieces[0] + len(pieces)))


def test_segments_are_runs_of_one_document():
    for pair in pairs():
        assert pair["first"] and pair["second"]
        assert is_run(pair["first"]) and is_run(pair["second"])
        same = pair["first"][0] // 1000 == pair["second"][0] // 1000
        assert same != bool(pair["is_random"])
        assert len(pair["first"]) + len(pair["second"]) <= 20
        if same:  # in order; trimming may leave a gap
            assert pair["first"][-1] < pair["second"][0]


def test_half_are_strangers_and_lengths_vary():
    found = [pair for seed in range(10) for pair in pairs(seed=seed)]
    assert 0.45 < np.mean([pair["is_random"] for pair in found]) < 0.65
    lengths = [len(p["first"]) + len(p["second"]) for p in pairs(short=0.0)]
    assert np.mean([length >= 18 for length in lengths]) > 0.6
    short = [len(p["first"]) + len(p["second"]) for p in pairs(short=1.0)]
    assert np.mean(short) < np.mean(lengths) - 3


def test_all_text_is_used_when_nothing_is_trimmed():
    """What a stranger replaced comes again: every sentence is in a row of its own document."""
    read = set()
    for pair in pairs(max_pieces=10_000, short=0.0):
        read.update(pair["first"])
        if not pair["is_random"]:
            read.update(pair["second"])
    assert read == {piece for d in DOCUMENTS for sentence in d for piece in sentence}


def test_the_seed_decides():
    assert pairs(seed=3) == pairs(seed=3) != pairs(seed=4)


@pytest.mark.parametrize("short", [0.0, 0.5])
def test_runs_use_every_piece_once(short):
    found = list(sentence_runs(DOCUMENTS, 6, random.Random(0), short))
    counts = Counter(piece for run in found for piece in run["first"])
    assert set(counts.values()) == {1}
    assert set(counts) == {piece for d in DOCUMENTS for sentence in d for piece in sentence}
    for run in found:
        assert is_run(run["first"]) and len(run["first"]) <= 6
        assert run["second"] == [] and run["is_random"] == 0


def test_errors():
    with pytest.raises(ValueError, match="`documents` must be at least two.*Received: 1"):
        list(sentence_pairs([[[1]], [[]], []], 4, random.Random(0)))
    with pytest.raises(ValueError, match="`max_pieces` must be at least 2.*max_pieces=1"):
        list(sentence_pairs(DOCUMENTS, 1, random.Random(0)))
