"""Sentences packed into rows for truncated backpropagation through time."""

import random
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from .shuffling import shuffled

BEGIN, END = "<S>", "</S>"
NAMES = ("tokens", "targets", "reverse_tokens", "reverse_targets")


def packed(
    sentences: Callable[[], Iterable[Mapping[str, Any]]],
    batch_size: int,
    steps: int,
    seed: int | None = None,
    shuffle_buffer: int = 100_000,
) -> tf.data.Dataset:
    """Streams one pass over the sentences as full rows, both directions beside each other.

    Each of the batch's rows takes the next sentence whenever it has used up its last one and goes
    on with it in the next batch, so a model that keeps its state row by row reads on. Forward, a
    sentence is read as `<S> w1 … wn` and predicts `w1 … wn </S>`; backward, as `</S> wn … w1`,
    predicting `wn … w1 <S>`. When no sentence is left, rows end in "" and the pass ends with the
    last row.

    Shapes: B batch_size, T steps.

    Args:
        sentences: function that starts a pass; each sentence has `tokens`.
        batch_size: int. B.
        steps: int. T, after which gradients are cut.
        seed: int. Shuffles the sentences; None keeps their order.
        shuffle_buffer: int. Sentences drawn from at random.

    Returns:
        `tf.data.Dataset` of dicts of string (B, T): `tokens`, `targets`, `reverse_tokens`,
        `reverse_targets`.

    Raises:
        ValueError: `batch_size`, `steps` or `shuffle_buffer` is less than 1.

    Example:
    >>> corpus = [{"tokens": ["a", "cat"]}]
    >>> batch = next(iter(packed(lambda: corpus, batch_size=1, steps=4).as_numpy_iterator()))
    >>> batch["reverse_tokens"].tolist(), batch["reverse_targets"].tolist()
    ([[b'</S>', b'cat', b'a', b'']], [[b'cat', b'a', b'<S>', b'']])
    """
    sizes = {"batch_size": batch_size, "steps": steps, "shuffle_buffer": shuffle_buffer}
    for name, value in sizes.items():
        if value < 1:
            raise ValueError(f"`{name}` must be at least 1. Received: {name}={value}")

    def batches() -> Iterator[dict[str, np.ndarray]]:
        order = iter(sentences())
        if seed is not None:
            order = shuffled(order, random.Random(seed), shuffle_buffer)
        streams: list[tuple[list[str], ...]] = [([], [], [], [])] * batch_size
        while True:
            batch = {name: np.full((batch_size, steps), "", dtype=object) for name in NAMES}
            empty = True
            for row in range(batch_size):
                filled = 0
                while filled < steps:
                    if not streams[row][0]:
                        sentence = next(order, None)
                        if sentence is None:
                            break
                        streams[row] = _streams(list(sentence["tokens"]))
                    count = min(steps - filled, len(streams[row][0]))
                    for name, words in zip(NAMES, streams[row], strict=True):
                        batch[name][row, filled : filled + count] = words[:count]
                    streams[row] = tuple(words[count:] for words in streams[row])
                    filled += count
                    empty = False
            if empty:
                return
            yield batch

    signature = {name: tf.TensorSpec((batch_size, steps), tf.string, name=name) for name in NAMES}
    return tf.data.Dataset.from_generator(batches, output_signature=signature)


def _streams(words: list[str]) -> tuple[list[str], ...]:
    backward = words[::-1]
    return [BEGIN, *words], [*words, END], [END, *backward], [*backward, BEGIN]
