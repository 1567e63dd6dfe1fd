"""How many requests may wait for a thread."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

QUEUE_IS_FULL = "The queue of requests is full. Try again later."


class RequestQueue(ThreadPoolExecutor):
    """Threads that answer requests, and a bound on the requests that wait for one.

    The bound is for the caller to keep: what is submitted is run, unless it is cancelled first.

    Args:
        threads: int. Requests that are answered at once.
        max_waiting: int. Requests that may wait besides.
        name: str. Of the threads.

    Example:
    >>> queue = RequestQueue(threads=1, max_waiting=0, name="doctest")
    >>> started, finish = threading.Event(), threading.Event()
    >>> running = queue.submit(lambda: (started.set(), finish.wait()))
    >>> started.wait(), queue.full
    (True, True)
    >>> finish.set()
    >>> _ = running.result()
    """

    def __init__(self, threads: int, max_waiting: int, name: str) -> None:
        super().__init__(threads, thread_name_prefix=name)
        self._limit = threads + max_waiting
        # `with queue.place:` counts a request that is answered without one of these threads.
        self.place = _Place()

    @property
    def full(self) -> bool:
        """Whether one more request would be one too many."""
        return self.place.taken >= self._limit

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future:
        """Runs a function on one of the threads, when one is free."""
        future = super().submit(fn, *args, **kwargs)
        self.place.__enter__()
        future.add_done_callback(self.place.__exit__)  # also of one that is cancelled as it waits
        return future


class _Place:
    def __init__(self) -> None:
        self.taken = 0
        self._guard = threading.Lock()

    def __enter__(self) -> None:
        with self._guard:
            self.taken += 1

    def __exit__(self, *_: object) -> None:
        with self._guard:  # whichever thread ends the work calls this
            self.taken -= 1
