import itertools
import random

import numpy as np
import pytest
import tensorflow as tf

from polysemy.recipes.data.buckets import bucketed, count_batches

FEATURES = {"tokens": "string", "tags": "int32", "document": "int64"}


def corpus(size=200):
    rng = random.Random(0)
    for number in range(size):
        length = rng.randint(1, 40)
        tokens = [f"w{number}.{i}" for i in range(length)]
        yield {"tokens": tokens, "tags": list(range(1, length + 1)), "document": number}


def order(**arguments):
    dataset = bucketed(corpus, FEATURES, **{"batch_size": 8, **arguments})
    return [batch["document"].numpy().tolist() for batch in dataset]


def test_every_sentence_once_rightly_padded():
    sentences = {s["document"]: s for s in corpus()}
    seen = []
    for batch in bucketed(corpus, FEATURES, batch_size=8, seed=3):
        width = max(len(sentences[n]["tokens"]) for n in batch["document"].numpy())
        assert batch["tokens"].dtype == tf.string
        assert batch["tags"].dtype == tf.int32
        for number, tokens, tags in zip(
            batch["document"].numpy(),
            batch["tokens"].numpy(),
            batch["tags"].numpy(),
            strict=True,
        ):
            sentence = sentences[number]
            padding = width - len(sentence["tokens"])
            assert [t.decode() for t in tokens] == sentence["tokens"] + [""] * padding
            assert tags.tolist() == sentence["tags"] + [0] * padding
            seen.append(number)
    assert sorted(seen) == list(range(200))


def test_batches_hold_like_lengths():
    limits = np.array([0, 10, 20, 40])
    for batch in bucketed(corpus, FEATURES, batch_size=8, boundaries=(10, 20), seed=0):
        lengths = np.count_nonzero(batch["tags"], axis=1)
        assert len(set(np.searchsorted(limits, lengths))) == 1


def test_order_depends_on_seed_and_epoch_alone():
    tf.random.set_seed(1)
    first = order(seed=7, epoch=2)
    tf.random.set_seed(2)
    random.seed(5)
    assert order(seed=7, epoch=2) == first
    assert order(seed=7, epoch=3) != first
    assert order(seed=8, epoch=2) != first
    # Pinned: a change here breaks the resumption of trainings started before it.
    assert order(seed=7, epoch=2, batch_size=3)[0] == [41, 129, 63]


def test_without_seed_file_order_within_buckets():
    for batch in order():
        assert batch == sorted(batch)


def test_a_killed_epoch_continues_exactly():
    whole = order(seed=1, shuffle_buffer=50)
    assert order(seed=1, shuffle_buffer=50, skip_batches=5) == whole[5:]


def test_small_shuffle_window_streams():
    """An endless generator works: only the window is read ahead."""

    def endless():
        for number in itertools.count():
            yield {"tokens": ["a"], "document": number}

    dataset = bucketed(
        endless, {"tokens": "string", "document": "int32"}, 4, seed=0, shuffle_buffer=16
    )
    found = [n for batch in dataset.take(20) for n in batch["document"].numpy().tolist()]
    assert len(set(found)) == 80
    assert max(found) < 80 + 16 + 1
    assert found != sorted(found)


def test_batch_size_in_tokens():
    for batch in bucketed(corpus, FEATURES, batch_tokens=96, boundaries=(8, 16)):
        size, width = batch["tags"].shape
        assert size * width <= 96
        assert size <= (96 // 8 if width <= 8 else 96 // 16)


def test_one_sentence_longer_than_the_token_budget_is_a_batch():
    sentences = [{"tokens": ["a"] * 50}]
    (batch,) = bucketed(lambda: sentences, {"tokens": "string"}, batch_tokens=16)
    assert batch["tokens"].shape == (1, 50)


def test_drop_remainder_and_static_widths():
    batches = order(drop_remainder=True)
    assert {len(batch) for batch in batches} == {8}
    dataset = bucketed(corpus, FEATURES, batch_size=8, boundaries=(16, 24), pad_to_boundary=True)
    assert {batch["tags"].shape[1] for batch in dataset} == {16, 24, 48}


def test_max_length_cuts_every_feature():
    for batch in bucketed(corpus, FEATURES, batch_size=8, max_length=5):
        assert batch["tags"].shape[1] <= 5
        assert batch["tokens"].shape == batch["tags"].shape


@pytest.mark.parametrize(
    "arguments",
    [
        {"batch_size": 7},
        {"batch_size": 7, "drop_remainder": True},
        {"batch_tokens": 100, "max_length": 20},
    ],
)
def test_count_batches_is_exact_in_every_epoch(arguments):
    counted = count_batches(corpus, **arguments)
    for epoch in range(3):
        dataset = bucketed(corpus, FEATURES, **arguments, seed=0, epoch=epoch)
        assert sum(1 for _ in dataset) == counted


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "Exactly one of `batch_size` and `batch_tokens`"),
        ({"batch_size": 1, "batch_tokens": 1}, "Exactly one"),
        ({"batch_size": 0}, "`batch_size` must be at least 1"),
        ({"batch_size": 1, "boundaries": (8, 8)}, "`boundaries` must be positive, rising"),
        ({"batch_size": 1, "boundaries": ()}, "`boundaries`"),
        ({"batch_size": 1, "length_of": "words"}, "`length_of` must be one of `features`"),
        ({"batch_size": 1, "shuffle_buffer": 0}, "`shuffle_buffer`"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        bucketed(corpus, FEATURES, **arguments)


def test_bad_sentences():
    with pytest.raises(ValueError, match=r"must be keys of each sentence.*\['pos'\]"):
        bucketed(corpus, {**FEATURES, "pos": "string"}, batch_size=2)
    with pytest.raises(ValueError, match="at least one sentence"):
        bucketed(lambda: [], FEATURES, batch_size=2)
    uneven = [{"tokens": ["a", "b"], "tags": [1]}]
    dataset = bucketed(lambda: uneven, {"tokens": "string", "tags": "int32"}, batch_size=1)
    with pytest.raises(tf.errors.InvalidArgumentError, match="same length.*2 tokens, 1 tags"):
        list(dataset)
