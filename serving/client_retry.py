"""When a client asks again."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Iterator


@dataclasses.dataclass(frozen=True)
class Retry:
    """Exponential backoff with jitter, for requests that the server did not take (UNAVAILABLE).

    The n-th pause is between half and the whole of `first * 2^n` seconds, at most `longest`: the
    clients of a server that was away do not come back all at once.

    Args:
        attempts: int. Requests at most, the first included; 1: never again.
        first: float. Seconds.
        longest: float. Seconds.

    Raises:
        ValueError: if a value is out of range.

    Example:
    >>> len(list(Retry(attempts=4).pauses()))
    3
    """

    attempts: int = 5
    first: float = 0.1
    longest: float = 5.0

    def __post_init__(self) -> None:
        if self.attempts < 1:
            raise ValueError(f"`attempts` must be 1 or more. Received: attempts={self.attempts}")
        if not 0 < self.first <= self.longest:
            raise ValueError(
                "`first` must be above 0 and at most `longest`. "
                f"Received: first={self.first}, longest={self.longest}"
            )

    def pauses(self) -> Iterator[float]:
        """Seconds to wait before each further attempt."""
        for attempt in range(self.attempts - 1):
            whole = min(self.first * 2**attempt, self.longest)
            yield random.uniform(whole / 2, whole)
