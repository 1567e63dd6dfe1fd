"""Rows of a causal language model: every token predicted, from enough context."""

import numpy as np
import pytest

from polysemy.recipes.data.token_rows import strided_rows, token_rows

TEXT = np.arange(100, 203)


@pytest.mark.parametrize("seed", [None, 1, 2])
def test_rows(seed):
    batches = list(token_rows(TEXT, length=7, batch_size=3, seed=seed))
    assert len(batches) == 4
    seen = np.concatenate([b["targets"].reshape(-1) for b in batches])
    assert len(set(seen)) == len(seen) and set(seen) <= set(TEXT)
    for batch in batches:
        assert batch["token_ids"].shape == (3, 7) and batch["token_ids"].dtype == "int32"
        np.testing.assert_array_equal(batch["targets"], batch["token_ids"] + 1)


def test_passes_cut_in_other_places():
    starts = {
        int(min(b["token_ids"].min() for b in token_rows(TEXT, 7, 3, seed))) for seed in range(20)
    }
    assert len(starts) > 3
    # Exactly one batch: the only start is the first token.
    (batch,) = token_rows(TEXT[:22], 7, 3, seed=5)
    assert sorted(batch["token_ids"][:, 0]) == [100, 107, 114]


@pytest.mark.parametrize(("length", "stride"), [(8, 8), (8, 3), (8, 1), (200, 50)])
@pytest.mark.parametrize("size", [2, 9, 10, 103])
def test_every_token_but_the_first_once(length, stride, size):
    text = TEXT[:size]
    predicted, least = [], []
    for batch in strided_rows(text, length, stride, batch_size=4):
        weights = batch["weights"]
        assert (batch["targets"] == batch["token_ids"] + 1)[weights].all()
        predicted += batch["targets"][weights].tolist()
        for row, weight in zip(batch["token_ids"], weights, strict=True):
            if row[0] != text[0]:
                least.append(int(np.flatnonzero(weight)[0]))
    assert predicted == text[1:].tolist()
    assert all(context >= length - stride for context in least)


def test_errors():
    with pytest.raises(ValueError, match="`ids` must fill a batch.*21 tokens, batch_size=3"):
        list(token_rows(TEXT[:21], 7, 3))
    with pytest.raises(ValueError, match="`stride` must be from 1 to `length`.*stride=9"):
        list(strided_rows(TEXT, 8, 9, 1))
    with pytest.raises(ValueError, match="at least two tokens. Received: 1"):
        list(strided_rows(TEXT[:1], 8, 8, 1))
