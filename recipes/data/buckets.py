"""Sentences to padded batches: length buckets, shuffling that repeats exactly, `tf.data` out."""

import random
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from .shuffling import shuffled

Sentences = Callable[[], Iterable[Mapping[str, Any]]]

DEFAULT_BOUNDARIES = (8, 12, 16, 24, 32, 48, 64, 96, 128)


def bucketed(
    sentences: Sentences,
    features: Mapping[str, str],
    batch_size: int | None = None,
    batch_tokens: int | None = None,
    boundaries: Sequence[int] = DEFAULT_BOUNDARIES,
    length_of: str = "tokens",
    max_length: int | None = None,
    seed: int | None = None,
    epoch: int = 0,
    shuffle_buffer: int = 10_000,
    drop_remainder: bool = False,
    pad_to_boundary: bool = False,
    skip_batches: int = 0,
) -> tf.data.Dataset:
    """Streams one epoch of sentences as padded batches of like lengths.

    The batches depend only on the sentences and the arguments, never on TensorFlow's global seed,
    on threads, or on what ran before: the same (`seed`, `epoch`) gives the same batches in the same
    order in any process, and `skip_batches=n` continues a killed epoch at its n-th batch. Order and
    padding are therefore made in Python, a whole batch at a time (which also costs less than
    passing single sentences into `tf.data`).

    At most `shuffle_buffer` sentences and one unfinished batch per bucket are in memory.

    Shapes: B sentences, L tokens of the longest sentence in the batch.

    Args:
        sentences: function without arguments that starts a new pass over the sentences, e.g.
            `lambda: read_columns(path)`. Each sentence is a mapping.
        features: mapping of the keys that go into the batch to their dtype, e.g.
            `{"tokens": "string", "tags": "int32"}`. A list over the tokens becomes (B, L), padded
            with "" or 0; a single value becomes (B,).
        batch_size: int. Sentences in a batch. Give this or `batch_tokens`.
        batch_tokens: int. Positions in a batch, padding included: a bucket of sentences of up to
            n tokens makes batches of `batch_tokens // n` sentences, at least one.
        boundaries: rising ints. Longest sentence of each bucket; sentences beyond the last are
            bucketed by doubling it.
        length_of: str. The feature whose length counts; must be one of `features`.
        max_length: int. Longer sentences lose their tail, in every feature; None: nothing is cut.
        seed: int. None: no shuffling (evaluation).
        epoch: int. Mixed with `seed`: every epoch has its own order.
        shuffle_buffer: int. Sentences drawn from at random; at least the corpus' size shuffles it
            whole.
        drop_remainder: bool. Leaves out the batches that the end of the epoch cuts short.
        pad_to_boundary: bool. Pads to the bucket's limit instead of the longest sentence, so that a
            compiled step sees one shape per bucket.
        skip_batches: int. Batches to leave out at the start.

    Returns:
        `tf.data.Dataset` of dicts of tensors (B, L) or (B,), prefetched, of one epoch.

    Raises:
        ValueError: bad arguments; while iterating, a sentence without a feature or with features
            of different lengths (`tf.data` reports it as `tf.errors.InvalidArgumentError`).

    Example:
    >>> corpus = [{"tokens": ["a", "b"], "tags": [1, 2]}, {"tokens": ["c"], "tags": [3]}]
    >>> dtypes = {"tokens": "string", "tags": "int32"}
    >>> for batch in bucketed(lambda: corpus, dtypes, batch_size=2):
    ...     print(batch["tags"].numpy().tolist())
    [[1, 2], [3, 0]]
    """
    plan = _Plan(batch_size, batch_tokens, boundaries, length_of, max_length, drop_remainder)
    plan.check(features)
    if shuffle_buffer < 1:
        raise ValueError(
            f"`shuffle_buffer` must be at least 1. Received: shuffle_buffer={shuffle_buffer}"
        )
    ranks = _ranks(sentences, features)

    def batches():
        order = sentences()
        rng = None
        if seed is not None:
            # A str seed is hashed with SHA-512 by `random`: alike on every machine and version.
            rng = random.Random(f"{seed}/{epoch}")
            order = shuffled(order, rng, shuffle_buffer)
        for number, (limit, batch) in enumerate(plan.batches(order, rng)):
            if number >= skip_batches:
                yield _pad(batch, features, ranks, plan, limit if pad_to_boundary else None)

    signature = {
        name: tf.TensorSpec((None,) * rank, tf.as_dtype(features[name]), name=name)
        for name, rank in ranks.items()
    }
    return tf.data.Dataset.from_generator(batches, output_signature=signature).prefetch(2)


def count_batches(
    sentences: Sentences,
    batch_size: int | None = None,
    batch_tokens: int | None = None,
    boundaries: Sequence[int] = DEFAULT_BOUNDARIES,
    length_of: str = "tokens",
    max_length: int | None = None,
    drop_remainder: bool = False,
) -> int:
    """Counts the batches of an epoch of `bucketed` with these arguments: the same every epoch.

    >>> count_batches(lambda: [{"tokens": ["a"] * n} for n in (1, 2, 3, 30)], batch_size=2)
    3
    """
    plan = _Plan(batch_size, batch_tokens, boundaries, length_of, max_length, drop_remainder)
    plan.check({length_of: ""})
    return sum(1 for _ in plan.batches(sentences(), None))


class _Plan:
    """Which sentences make a batch."""

    def __init__(self, batch_size, batch_tokens, boundaries, length_of, max_length, drop_remainder):
        self.batch_size = batch_size
        self.batch_tokens = batch_tokens
        self.boundaries = tuple(boundaries)
        self.length_of = length_of
        self.max_length = max_length
        self.drop_remainder = drop_remainder

    def check(self, features) -> None:
        if (self.batch_size is None) == (self.batch_tokens is None):
            raise ValueError(
                "Exactly one of `batch_size` and `batch_tokens` must be given. Received: "
                f"batch_size={self.batch_size}, batch_tokens={self.batch_tokens}"
            )
        for name in ("batch_size", "batch_tokens", "max_length"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"`{name}` must be at least 1. Received: {name}={value}")
        rising = all(a < b for a, b in zip((0, *self.boundaries), self.boundaries, strict=False))
        if not self.boundaries or not rising:
            raise ValueError(
                f"`boundaries` must be positive, rising ints. Received: {self.boundaries}"
            )
        if self.length_of not in features:
            raise ValueError(
                "`length_of` must be one of `features`. Received: "
                f"length_of={self.length_of!r}, features={sorted(features)}"
            )

    def limit(self, length: int) -> int:
        """Longest sentence of the bucket that a length falls into."""
        for boundary in self.boundaries:
            if length <= boundary:
                return boundary
        boundary = self.boundaries[-1]
        while boundary < length:
            boundary *= 2
        return boundary

    def batches(self, sentences, rng) -> Iterator[tuple[int, list]]:
        buckets: dict[int, list] = {}
        for sentence in sentences:
            if self.length_of not in sentence:
                raise ValueError(
                    f"Each sentence must have {self.length_of!r}. Received: {sorted(sentence)}"
                )
            length = len(sentence[self.length_of])
            limit = self.limit(min(length, self.max_length or length))
            bucket = buckets.setdefault(limit, [])
            bucket.append(sentence)
            if len(bucket) == (self.batch_size or max(1, self.batch_tokens // limit)):
                yield limit, buckets.pop(limit)
        if not self.drop_remainder:
            rest = sorted(buckets.items(), key=lambda item: item[0])
            if rng is not None:
                rng.shuffle(rest)
            yield from rest


def _is_sequence(value) -> bool:
    return isinstance(value, (list, tuple)) or (isinstance(value, np.ndarray) and value.ndim > 0)


def _ranks(sentences: Sentences, features) -> dict[str, int]:
    """Rank of each feature's batch, read off the first sentence."""
    first = next(iter(sentences()), None)
    if first is None:
        raise ValueError("`sentences` must yield at least one sentence. Received: none")
    missing = [name for name in features if name not in first]
    if missing:
        raise ValueError(
            f"`features` must be keys of each sentence. Received: {missing}, not in {sorted(first)}"
        )
    return {name: 2 if _is_sequence(first[name]) else 1 for name in features}


def _pad(batch, features, ranks, plan: _Plan, limit: int | None) -> dict[str, np.ndarray]:
    lengths = [len(sentence[plan.length_of]) for sentence in batch]
    lengths = [min(length, plan.max_length or length) for length in lengths]
    width = limit or max(lengths)
    padded = {}
    for name, dtype in features.items():
        values = [sentence[name] for sentence in batch]
        dtype = tf.as_dtype(dtype)
        if ranks[name] == 1:
            padded[name] = np.array(values, dtype=dtype.as_numpy_dtype)
            continue
        fill = "" if dtype == tf.string else 0
        array = np.full((len(batch), width), fill, dtype=dtype.as_numpy_dtype)
        for row, (value, length, sentence) in enumerate(zip(values, lengths, batch, strict=True)):
            if len(value) != len(sentence[plan.length_of]):
                raise ValueError(
                    f"Features of a sentence must have the same length. Received: "
                    f"{len(sentence[plan.length_of])} {plan.length_of}, {len(value)} {name} in "
                    f"{dict(sentence)}"
                )
            array[row, :length] = value[:length]
        padded[name] = array
    return padded
