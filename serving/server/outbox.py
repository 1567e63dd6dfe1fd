"""Results on their way from other threads to an event loop."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from typing import Any


class Outbox:
    """Sets an event loop's futures from other threads; those of a moment wake the loop once.

    Made in the loop's thread.

    Example:
    >>> async def get():
    ...     outbox, future = Outbox(), asyncio.get_running_loop().create_future()
    ...     threading.Thread(target=outbox.put, args=(future, 42, None)).start()
    ...     return await future
    >>> asyncio.run(get())
    42
    """

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._results: deque[tuple[asyncio.Future, Any, Any]] = deque()
        self._lock = threading.Lock()
        self._is_coming = False

    def put(self, future: asyncio.Future, result: Any, error: Exception | None) -> None:
        """Gives a future its result, or its error if there is one."""
        with self._lock:
            self._results.append((future, result, error))
            wake, self._is_coming = not self._is_coming, True
        if wake:
            try:
                self._loop.call_soon_threadsafe(self._deliver)
            except RuntimeError:
                pass  # the loop has been closed: nobody waits

    def _deliver(self) -> None:
        with self._lock:
            results, self._results = self._results, deque()
            self._is_coming = False
        for future, result, error in results:
            if future.done():
                continue  # who asked has gone away
            if error is not None:
                future.set_exception(error)
            else:
                future.set_result(result)
