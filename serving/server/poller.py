"""Looks at the file system, again and again, while a server runs."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from .manager import ModelManager
from .reloading import ConfigReloader

LOGGER = logging.getLogger(__name__)
TICK_SECONDS = 1.0  # how late a retry may be


class Poller:
    """A thread that polls base paths and the configuration file, and starts retries.

    Args:
        manager: the models; its options say how often.
        reloader: takes in a changed configuration.
    """

    def __init__(self, manager: ModelManager, reloader: ConfigReloader) -> None:
        self._manager = manager
        self._reloader = reloader
        self._stop = threading.Event()
        self._worker = ThreadPoolExecutor(1, "poll")
        self._thread = threading.Thread(target=self._run, name="poller", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Ends the thread, after the poll that is under way."""
        self._stop.set()
        self._thread.join()
        self._worker.shutdown()

    def _run(self) -> None:
        options = self._manager.options
        files = options.file_system_poll_wait_seconds
        config = options.model_config_file_poll_wait_seconds if options.model_config_file else 0
        next_files = time.monotonic() + files
        next_config = time.monotonic() + config
        while not self._stop.wait(min([TICK_SECONDS, *(s for s in (files, config) if s > 0)])):
            now = time.monotonic()
            if config > 0 and now >= next_config:
                self._do(self._reloader.read_file)
                next_config = now + config
            if files > 0 and now >= next_files:
                self._do(self._reloader.follow)
                self._do(self._manager.poll)
                next_files = now + files
            else:
                self._do(self._manager.retry)

    def _do(self, work: Callable[[], None]) -> None:
        # In a thread of its own, whose future has the error: one bad poll must not be the last.
        error = self._worker.submit(work).exception()
        if error is not None:
            LOGGER.error("a poll failed: %s: %s", type(error).__name__, error)
