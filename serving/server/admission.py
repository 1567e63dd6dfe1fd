"""How many requests may wait for a thread."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import grpc

from .grpc_calls import UNREADABLE, reader

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
        self._count = 0
        self._guard = threading.Lock()

    @property
    def full(self) -> bool:
        """Whether one more request would be one too many."""
        return self._count >= self._limit

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future:
        """Runs a function on one of the threads, when one is free."""
        future = super().submit(fn, *args, **kwargs)
        with self._guard:
            self._count += 1
        future.add_done_callback(self._count_down)  # also of one that is cancelled as it waits
        return future

    def _count_down(self, _: Future) -> None:
        with self._guard:  # whichever thread ends the work calls this
            self._count -= 1


class Refusals:
    """The handlers of calls that come when the queue is full: UNAVAILABLE, from a thread of their
    own, so that the answer does not wait for those that are being answered."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, "refusal")

    def handler(
        self, request: Any, record: Callable[[Any, grpc.ServicerContext], None]
    ) -> grpc.RpcMethodHandler:
        """Refuses messages of a class; `record` takes note of each."""

        def refuse(message: Any, context: grpc.ServicerContext) -> None:
            if message is not UNREADABLE:
                record(message, context)
            context.abort(grpc.StatusCode.UNAVAILABLE, QUEUE_IS_FULL)

        refuse.experimental_thread_pool = self._thread
        return grpc.unary_unary_rpc_method_handler(refuse, request_deserializer=reader(request))
