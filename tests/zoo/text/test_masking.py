"""Masking for language models: how many, which, and what becomes of them."""

import numpy as np
import pytest
import tensorflow as tf

from polysemy.zoo.text.masking import mask_tokens

MASK, SIZE, LENGTH = 4, 1000, 64


@pytest.fixture
def rows():
    """Ids above 100; [CLS], 2, and [SEP], 3, at the ends; rows of 4 to 64 tokens."""
    generator = np.random.default_rng(0)
    ids = generator.integers(100, SIZE, size=(300, LENGTH)).astype("int32")
    lengths = generator.integers(4, LENGTH + 1, size=300)
    column = np.arange(LENGTH)
    mask = column < lengths[:, None]
    ids = np.where(mask, ids, 0)
    ids[:, 0] = 2
    ids[np.arange(300), lengths - 1] = 3
    return ids, mask, mask & (ids > 3), lengths


def run(rows, seed=(1, 2), max_predictions=8, **arguments):
    ids, mask, candidates, _ = rows
    found = mask_tokens(
        ids, mask, candidates, list(seed), MASK, SIZE, max_predictions=max_predictions, **arguments
    )
    return {name: x.numpy() for name, x in found.items()}


@pytest.mark.parametrize("whole_words", [False, True])
def test_numbers_and_places(rows, whole_words):
    ids, mask, candidates, lengths = rows
    continues = np.random.default_rng(1).random(ids.shape) < 0.3
    found = run(rows, continues=continues if whole_words else None)
    number = np.clip(np.round(lengths * 0.15), 1, 8)
    chosen = found["mask_weights"].sum(axis=1)
    assert (chosen <= np.minimum(number, candidates.sum(axis=1))).all()
    if not whole_words:
        assert (chosen == np.minimum(number, candidates.sum(axis=1))).all()
    for row, (positions, weights) in enumerate(
        zip(found["mask_positions"], found["mask_weights"], strict=True)
    ):
        real, rest = np.split(positions, [int(weights.sum())])
        assert (np.diff(real) > 0).all() and candidates[row, real].all()
        assert not rest.any() and not weights[len(real) :].any()
        assert (found["mask_ids"][row, : len(real)] == ids[row, real]).all()
        changed = np.flatnonzero(found["token_ids"][row] != ids[row])
        assert set(changed) <= set(real)


def test_whole_words_are_whole(rows):
    ids, _, candidates, lengths = rows
    continues = np.random.default_rng(1).random(ids.shape) < 0.4
    found = run(rows, continues=continues)
    missing = 0
    for row, positions in enumerate(found["mask_positions"]):
        chosen = set(positions[: int(found["mask_weights"][row].sum())])
        words, word = [], []
        for i in np.flatnonzero(candidates[row]):
            if continues[row, i] and word:
                word.append(i)
            else:
                words.append(word := [i])
        assert all(chosen >= set(w) or not chosen & set(w) for w in words)
        # A word is left out only if it is too long for what is still to be chosen.
        left = np.clip(round(lengths[row] * 0.15), 1, 8) - len(chosen)
        assert all(chosen >= set(w) or len(w) > left for w in words)
        missing += left
    assert missing < 100


@pytest.mark.parametrize("mask_rate, random_rate", [(0.8, 0.1), (1.0, 0.0), (0.0, 1.0)])
def test_rates(rows, mask_rate, random_rate):
    ids = rows[0]
    masked = drawn = kept = 0
    for seed in range(8):
        found = run(rows, (seed, 7), 12, mask_rate=mask_rate, random_rate=random_rate)
        now = np.take_along_axis(found["token_ids"], found["mask_positions"], axis=1)
        real = found["mask_weights"] > 0
        masked += np.sum(real & (now == MASK))
        kept += np.sum(real & (now == found["mask_ids"]))
        drawn += np.sum(real & (now != MASK) & (now != found["mask_ids"]))
    total = masked + kept + drawn
    assert total > 8000
    assert abs(masked / total - mask_rate) < 0.02
    assert abs(drawn / total - random_rate) < 0.02
    assert ids.min() == 0  # the rows themselves are as they were


def test_every_candidate_is_chosen_alike():
    ids = np.full((4000, 12), 200, "int32")
    candidates = np.ones(ids.shape, bool)
    candidates[:, [0, -1]] = False
    found = mask_tokens(ids, ids > 0, candidates, [3, 4], MASK, SIZE, max_predictions=2)
    positions = found["mask_positions"].numpy()[found["mask_weights"].numpy() > 0]
    counts = np.bincount(positions, minlength=12) / 8000
    np.testing.assert_allclose(counts[1:-1], 0.1, atol=0.015)


def test_the_seed_decides(rows):
    first, again, other = run(rows), run(rows), run(rows, seed=(1, 3))
    for name in first:
        np.testing.assert_array_equal(first[name], again[name])
    assert (first["mask_positions"] != other["mask_positions"]).any()


def test_nothing_to_choose():
    ids = tf.constant([[2, 3, 0], [2, 7, 3]])
    found = mask_tokens(ids, ids > 0, ids > 3, [0, 0], MASK, SIZE, max_predictions=2)
    assert found["mask_weights"].numpy().tolist() == [[0, 0], [1, 0]]
    assert found["mask_ids"].numpy().tolist() == [[0, 0], [7, 0]]


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"rate": 0.0}, r"`rate` must be in \(0, 1\]"),
        ({"mask_rate": 0.8, "random_rate": 0.3}, "at most 1 together"),
        ({"max_predictions": 0}, "`max_predictions` must be at least 1"),
    ],
)
def test_errors(rows, arguments, message):
    with pytest.raises(ValueError, match=message):
        run(rows, **arguments)
