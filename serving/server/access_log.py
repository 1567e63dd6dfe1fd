"""One line of JSON for each request that has been answered."""

from __future__ import annotations

import json
import os
import queue
import sys
import threading
from datetime import datetime, timezone
from typing import Any, TextIO

MAX_WAITING_LINES = 10_000
_MAX_NAME = 256  # characters


class AccessLog:
    """Writes requests to a file from a thread of its own, so that a slow disk delays no answer.

    When more than 10,000 lines wait, further ones are dropped and their number is written. A file
    that log rotation has moved away is opened anew.

    Args:
        path: of the file, which is appended to; `-` is standard error.

    Raises:
        OSError: if the file cannot be opened.

    Example:
    >>> import json, pathlib, tempfile
    >>> path = pathlib.Path(tempfile.mkdtemp(), "access.jsonl")
    >>> log = AccessLog(path)
    >>> log.write("GRPC", "elmo", "Predict", "OK", 0.25)
    >>> log.close()
    >>> json.loads(path.read_text())["milliseconds"]
    250.0
    """

    def __init__(self, path: str | os.PathLike) -> None:
        self._path = None if os.fspath(path) == "-" else os.fspath(path)
        self._file: TextIO = sys.stderr if self._path is None else self._opened()
        self._lines: queue.Queue[str | None] = queue.Queue(MAX_WAITING_LINES)
        self._dropped = 0
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="access_log", daemon=True)
        self._thread.start()

    def write(
        self,
        entrypoint: str,
        model: str,
        api: str,
        status: str,
        seconds: float,
        version: int | None = None,
        signature: str | None = None,
        examples: int | None = None,
        peer: str | None = None,
    ) -> None:
        """Queues the line of one request.

        Args:
            entrypoint: str. `GRPC` or `REST`.
            model: str. The name in the request; its first 256 characters are written.
            api: str. `Predict` ...; over REST the route's word, `predict` ...
            status: str. The gRPC code's name; `OK` if all went well.
            seconds: float. From the request's arrival to its answer; written as milliseconds.
            version: int. The version that answered, if one did.
            signature: str. Its signature, likewise.
            examples: int. Rows of the input, if they are known.
            peer: str. The client's address.
        """
        line = _line(
            time=datetime.now(timezone.utc).isoformat(timespec="milliseconds"),
            entrypoint=entrypoint,
            model=model[:_MAX_NAME],
            version=version,
            signature=signature and signature[:_MAX_NAME],
            api=api,
            status=status,
            milliseconds=round(seconds * 1000, 3),
            examples=examples,
            peer=peer,
        )
        try:
            self._lines.put_nowait(line)
        except queue.Full:
            with self._lock:
                self._dropped += 1

    def close(self) -> None:
        """Writes what is queued and closes the file."""
        self._lines.put(None)
        self._thread.join()
        if self._path is not None:
            self._file.close()

    def _run(self) -> None:
        while (line := self._lines.get()) is not None:
            with self._lock:
                dropped, self._dropped = self._dropped, 0
            try:
                self._follow_rotation()
                if dropped:
                    self._file.write(_line(dropped=dropped))
                self._file.write(line)
                if self._lines.empty():
                    self._file.flush()
            except OSError as error:  # a full disk must not stop the server
                print(f"access log: {error}", file=sys.stderr)

    def _follow_rotation(self) -> None:
        if self._path is None:
            return
        try:
            same = os.path.samestat(os.stat(self._path), os.fstat(self._file.fileno()))
        except FileNotFoundError:
            same = False
        if not same:
            self._file.close()
            self._file = self._opened()

    def _opened(self) -> TextIO:
        assert self._path is not None
        return open(self._path, "a", encoding="utf-8")


def _line(**fields: Any) -> str:
    # ASCII: a name may hold what UTF-8 cannot say.
    return json.dumps(fields) + "\n"
