"""MultiInference: several classifications and regressions of the same examples in one run."""

from __future__ import annotations

from typing import Any

import grpc

from ..errors import ServingError, invalid_argument
from .classify import check_classification
from .regress import check_regression
from .signature import CLASSIFY, REGRESS, Signature


def check_tasks(request: Any, signatures: dict[str, Signature], default: str) -> list[Signature]:
    """The signatures of a request's tasks, in their order.

    Args:
        request: a `MultiInferenceRequest` with at least one task.
        signatures: of the version, by name.
        default: the name that none stands for.

    Raises:
        ServingError: if a task cannot be done, or not together with the others.
    """
    found: dict[str, Signature] = {}
    model = request.tasks[0].model_spec.name
    for task in request.tasks:
        if not task.model_spec.name:
            raise invalid_argument("Found ModelSpec with an empty model name.")
        if task.model_spec.name != model:
            raise invalid_argument(
                "All ModelSpecs in a MultiInferenceRequest must access the same model name."
            )
        name = task.model_spec.signature_name or default
        if name in found:
            raise invalid_argument(f"Duplicate evaluation of signature: {name}")
        if name not in signatures:
            raise invalid_argument(f"Requested signature not found in model graph: {name}")
        if task.method_name == CLASSIFY:
            check_classification(signatures[name])
        elif task.method_name == REGRESS:
            check_regression(signatures[name])
        else:
            raise ServingError(
                grpc.StatusCode.UNIMPLEMENTED,
                f"Unsupported signature method_name: {task.method_name}",
            )
        found[name] = signatures[name]
    return list(found.values())
