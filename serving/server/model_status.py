"""What a server tells of its versions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import grpc

from ..errors import ServingError, invalid_argument
from ..protos import GetModelStatusResponse
from .served_model import ServedModel


def model_status(models: Mapping[str, ServedModel], request: Any) -> Any:
    """Answers a `GetModelStatusRequest`: every version that this process has seen, newest first.

    Versions stay in it when they, or their model, are no longer served. A label is not looked at.

    Raises:
        ServingError: NOT_FOUND, or INVALID_ARGUMENT without a `ModelSpec`.
    """
    if not request.HasField("model_spec"):
        raise invalid_argument("Missing ModelSpec")
    spec = request.model_spec
    response = GetModelStatusResponse()
    model = models.get(spec.name)
    versions = dict(model.versions) if model is not None else {}
    if not versions:
        raise _not_found(f"Could not find any versions of model {spec.name}")
    if spec.WhichOneof("version_choice") == "version":
        number = spec.version.value
        if number not in versions:
            raise _not_found(f"Could not find version {number} of model {spec.name}")
        versions = {number: versions[number]}
    for number in sorted(versions, reverse=True):
        version = versions[number]
        entry = response.model_version_status.add(version=number, state=version.state)
        entry.status.error_code = version.code
        entry.status.error_message = version.text
    return response


def _not_found(message: str) -> ServingError:
    return ServingError(grpc.StatusCode.NOT_FOUND, message)
