"""Rows for truncated backpropagation: every token once in each direction, rows that go on."""

import itertools
from collections import Counter

import numpy as np
import pytest

from polysemy.recipes.data.packed import packed

RNG = np.random.default_rng(0)
# Words are unique, so that a sentence is known by any of them.
CORPUS = [
    {"tokens": [f"s{i}w{j}" for j in range(length)]}
    for i, length in enumerate(RNG.integers(1, 9, size=23))
]


def batches(batch_size=3, steps=4, corpus=CORPUS, **arguments):
    dataset = packed(lambda: corpus, batch_size, steps, **arguments)
    return [
        {name: np.char.decode(value.astype("S")) for name, value in batch.items()}
        for batch in dataset.as_numpy_iterator()
    ]


def rows(found, name):
    """Each row over all batches, without the padding that ends it."""
    whole = np.concatenate([batch[name] for batch in found], axis=1)
    for row in whole:
        length = (row != "").sum()
        assert (row[length:] == "").all()  # no hole
        yield row[:length].tolist()


@pytest.mark.parametrize("seed", [None, 5])
@pytest.mark.parametrize(("batch_size", "steps"), [(3, 4), (1, 1), (30, 5), (2, 100)])
def test_every_token_once_in_each_direction(batch_size, steps, seed):
    found = batches(batch_size, steps, seed=seed)
    words = Counter(itertools.chain(*(s["tokens"] for s in CORPUS)))
    sentences = len(CORPUS)
    for prefix, boundary in (("", "</S>"), ("reverse_", "<S>")):
        targets = Counter(itertools.chain(*rows(found, f"{prefix}targets")))
        assert targets == words + Counter({boundary: sentences})
    for batch in found:
        for value in batch.values():
            assert value.shape == (batch_size, steps)


def test_rows_go_on_in_the_next_batch():
    """Over all batches, each row is a sequence of whole sentences, in both directions alike."""
    found = batches(3, 4, seed=1)
    names = ("tokens", "targets", "reverse_tokens", "reverse_targets")
    seen = []
    for tokens, targets, back, back_targets in zip(*(rows(found, n) for n in names), strict=True):
        starts = [*np.flatnonzero(np.array(tokens) == "<S>"), len(tokens)]
        assert starts[0] == 0
        for start, end in itertools.pairwise(starts):
            words = tokens[start + 1 : end]
            seen.append(words)
            assert targets[start:end] == [*words, "</S>"]
            assert back[start:end] == ["</S>", *words[::-1]]
            assert back_targets[start:end] == [*words[::-1], "<S>"]
    assert sorted(seen) == sorted(s["tokens"] for s in CORPUS)


def test_rows_are_full_until_the_sentences_end():
    found = batches(3, 4)
    for batch in found[:-3]:  # no sentence has more than 9 targets
        assert (batch["targets"] != "").all()
    assert (found[-1]["targets"] != "").any() and (found[-1]["targets"] == "").any()


def test_order_by_seed():
    first = {seed: batches(seed=seed)[0]["tokens"].tolist() for seed in (None, 1, 2)}
    assert first[None][0][1] == "s0w0"
    assert first[1] != first[2] != first[None] != first[1]
    for seed, tokens in first.items():
        again = batches(seed=seed)
        assert again[0]["tokens"].tolist() == tokens
    dataset = packed(lambda: CORPUS, 3, 4, seed=1)
    once, twice = ([b["tokens"].tolist() for b in dataset.as_numpy_iterator()] for _ in range(2))
    assert once == twice  # a data set that is read again is the same pass


def test_a_small_shuffle_buffer_loses_nothing():
    found = batches(seed=3, shuffle_buffer=4)
    words = Counter(itertools.chain(*rows(found, "targets")))
    assert sum(words.values()) == sum(len(s["tokens"]) + 1 for s in CORPUS)
    assert int(found[0]["tokens"][0, 1][1:].split("w")[0]) <= 4  # drawn out of the first ones


def test_no_sentences():
    assert batches(corpus=[]) == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"batch_size": 0}, "`batch_size` must be at least 1. Received: batch_size=0"),
        ({"steps": -1}, "`steps` must be at least 1. Received: steps=-1"),
        ({"shuffle_buffer": 0}, "`shuffle_buffer` must be at least 1. Received: shuffle_buffer=0"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        packed(lambda: CORPUS, **{"batch_size": 1, "steps": 1, "seed": 1, **arguments})
