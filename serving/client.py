"""A small client of TensorFlow Serving's protocols, gRPC and REST."""

from __future__ import annotations

import concurrent.futures
import math
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import grpc
import numpy as np

from .client_base import ClientBase
from .client_batches import concatenated, located
from .client_calls import Call, Signatures, Target, decoded, merged
from .client_grpc import SyncGrpc
from .client_http import SyncHttp
from .errors import ServingError


class Client(ClientBase):
    """Asks a model server: Polysemy's or TensorFlow Serving's. Does not import TensorFlow.

    Threads may share a client. `AsyncClient` is the same for event loops.

    Args:
        address: str. "host:port" of gRPC; "dns:///host:port" for a name with several addresses,
            among which requests then take turns; "unix:path"; or "http://host:port" of REST, which
            is slower, and needs no port that speaks HTTP/2.
        timeout: float. Seconds for a request with all its retries, unless the call says otherwise.
        retry: `Retry`. How often and when a request is sent again that the server did not take:
            after UNAVAILABLE, and after nothing else. Default: four times within about 3 seconds.
        tls: `TLS`, or True for the system's authorities. Default: none for gRPC; https:// has it.

    Raises:
        ValueError: if an argument is wrong.
        ServingError: by every method, with the server's code and text in one line; UNAVAILABLE
            where nobody listens, DEADLINE_EXCEEDED after the timeout.

    Example:
    >>> Client("localhost:8500").address
    'localhost:8500'
    """

    _grpc, _http = SyncGrpc, SyncHttp

    def predict(
        self,
        model: str,
        inputs: Mapping[str, Any] | None = None,
        *,
        signature: str | None = None,
        version: int | None = None,
        label: str | None = None,
        outputs: Sequence[str] | None = None,
        timeout: float | None = None,
        batch_size: int | None = None,
        max_in_flight: int = 4,
        **named_inputs: Any,
    ) -> dict[str, np.ndarray]:
        """Runs a signature.

        Args:
            model: str. The model's name.
            inputs: dict of input name to value; for names that are also arguments here.
            signature: str. Default: "serving_default".
            version: int. Default: the newest.
            label: str. A label of a version, instead of its number.
            outputs: list of str. Only these, which saves their way. Default: all.
            timeout: float. Seconds for each request with its retries.
            batch_size: int. Send the rows in requests of so many. Default: all in one. The answers
                are put together in order; where lengths differ, shorter rows are padded with 0,
                False or b"" at the end. The first request that fails ends the call.
            max_in_flight: int. How many of these requests wait for answers at once.
            **named_inputs: inputs by name: arrays, or nested lists of strings, ints (sent as
                int32, or int64 where they are large), floats (as float32) or bools. Empty lists
                become arrays of their inputs' dtypes, for which the model's metadata is asked.

        Returns:
            dict of output name to array; strings are bytes.

        Raises:
            ValueError: if an argument is wrong, before anything is sent.
        """
        target = Target(model, version, label, signature)
        request = self._checked(merged(inputs, named_inputs), timeout, batch_size, max_in_flight)
        seconds, parts = request.seconds, request.parts
        signatures: Signatures | None = None
        if self._needs_signatures(request):
            # Each time: versions do not change, but which one answers may from call to call.
            plain = Target(model, version, label)
            signatures = self._call(self._protocol.metadata(plain), seconds)

        def ask(some: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
            typed = request.typed(some, target, signatures)
            return self._call(self._protocol.predict(target, typed, outputs, signatures), seconds)

        return ask(request.arrays) if parts is None else _in_parallel(ask, parts, request.in_flight)

    def metadata(
        self,
        model: str,
        version: int | None = None,
        label: str | None = None,
        timeout: float | None = None,
    ) -> Signatures:
        """The signatures: {signature: {"inputs": {name: info}, "outputs": {name: info}}}.

        Each `TensorInfo` has a `dtype` ("int32", "string"), a `shape`, (None, 128), and `optional`,
        True of an input that has a default value.
        """
        seconds = self._seconds(timeout)
        return self._call(self._protocol.metadata(Target(model, version, label)), seconds)

    def status(
        self, model: str, version: int | None = None, timeout: float | None = None
    ) -> dict[int, str]:
        """The state of each version ("AVAILABLE", "LOADING", ...), newest first."""
        seconds = self._seconds(timeout)
        return self._call(self._protocol.status(Target(model, version)), seconds)

    def close(self) -> None:
        """Closes the connection."""
        self._transport.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _call(self, call: Call, timeout: float) -> Any:
        deadline = time.monotonic() + timeout
        for pause in (*self.retry.pauses(), math.inf):  # none follows the last attempt
            try:
                answer = self._transport.send(call, deadline - time.monotonic())
                return decoded(call, answer, self.address)
            except ServingError as error:
                again = error.code is grpc.StatusCode.UNAVAILABLE
                if not again or time.monotonic() + pause >= deadline:
                    raise
            time.sleep(pause)


def _in_parallel(
    ask: Callable[[Mapping[str, np.ndarray]], dict[str, np.ndarray]],
    parts: list[tuple[int, dict[str, np.ndarray]]],
    in_flight: int,
) -> dict[str, np.ndarray]:
    """Asks for every part, a few at a time."""
    answers: list[Any] = [None] * len(parts)
    rows = [max((len(array) for array in part.values()), default=0) for _, part in parts]
    todo = iter(range(len(parts)))
    lock, failed = threading.Lock(), threading.Event()

    def work() -> None:
        while not failed.is_set():
            with lock:
                index = next(todo, None)
            if index is None:
                return
            try:
                answers[index] = ask(parts[index][1])
            except ServingError as error:
                failed.set()
                raise located(error, parts[index][0], rows[index]) from error

    workers = min(in_flight, len(parts))
    with concurrent.futures.ThreadPoolExecutor(workers, "polysemy-client") as pool:
        futures = [pool.submit(work) for _ in range(workers)]
        try:
            for future in concurrent.futures.as_completed(futures):
                future.result()
        finally:
            failed.set()  # whatever ended this, an interrupt too
    return concatenated(answers, rows)
