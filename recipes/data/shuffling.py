"""Shuffling of a stream that repeats exactly."""

import random
from collections.abc import Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")


def shuffled(items: Iterable[T], rng: random.Random, size: int) -> Iterator[T]:
    """Draws at random from a window of `size` items that slides over a stream.

    Example:
    >>> sorted(shuffled(range(5), random.Random(1), size=2))
    [0, 1, 2, 3, 4]
    """
    window: list[T] = []
    for item in items:
        if len(window) < size:
            window.append(item)
            continue
        index = rng.randrange(size)
        yield window[index]
        window[index] = item
    rng.shuffle(window)
    yield from window
