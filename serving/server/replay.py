"""Running a version's warm-up requests before its first client comes."""

from __future__ import annotations

from typing import Any

import grpc

from ..errors import ServingError
from ..warmup import read_warmup

# Kinds of records, and the calls of a servable that they are replayed with.
_CALLS = {
    "predict_log": "predict",
    "classify_log": "classify",
    "regress_log": "regress",
    "multi_inference_log": "multi_inference",
}


def replay(servable: Any, iterations: int = 1) -> int:
    """Runs the warm-up requests of a version in their order; returns the number of records.

    Args:
        servable: the version; whatever model a record names, this one answers.
        iterations: int. How often each is run.

    Raises:
        ValueError: if a record cannot be read, is of a kind that is not replayed, or fails.
    """
    count = 0
    for log in read_warmup(servable.path):
        kind = log.WhichOneof("log_type")
        try:
            if kind not in _CALLS:
                raise ServingError(
                    grpc.StatusCode.UNIMPLEMENTED, f"Unsupported log_type for warmup: {kind}"
                )
            request = getattr(log, kind).request
            for _ in range(iterations):
                getattr(servable, _CALLS[kind])(request)
        except ServingError as error:
            raise ValueError(f"Warm-up record {count} must run. Received: {error}") from error
        count += 1
    return count
