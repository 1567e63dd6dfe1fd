"""Which versions are loaded, and which one a request means."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc

from ..errors import ServingError, invalid_argument
from ..protos import GetModelMetadataResponse, GetModelStatusResponse, SignatureDefMap
from .folders import version_folders
from .servable import Servable

_States = GetModelStatusResponse().model_version_status.add().State
LOGGER = logging.getLogger(__name__)


class ModelManager:
    """Loads the newest version of each model and resolves requests to versions.

    Args:
        models: dict of model name to model folder.

    Example:
    >>> manager = ModelManager({})
    >>> manager.load()
    []
    """

    def __init__(self, models: dict[str, Path]) -> None:
        self.models = dict(models)
        self._servables: dict[str, dict[int, Servable]] = {}
        # (state, gRPC code, text) of every version that this process has seen.
        self._states: dict[str, dict[int, tuple[int, int, str]]] = {}

    def load(self) -> list[Servable]:
        """Loads and warms the newest version of each model; returns those that are available.

        A model that cannot be loaded does not stop the others: it is logged, and its status
        tells why.

        Raises:
            ValueError: if there are models and none can be loaded.
        """
        failures = []
        for name, folder in self.models.items():
            version, path = list(version_folders(folder).items())[-1]
            states = self._states.setdefault(name, {})
            states[version] = (_States.LOADING, 0, "")
            try:
                servable = Servable(name, version, path)
                count = servable.warm_up()
            except ValueError as error:
                states[version] = (_States.END, grpc.StatusCode.UNKNOWN.value[0], str(error))
                failures.append(str(error))
                LOGGER.error("model %r version %d is not served: %s", name, version, error)
                continue
            self._servables.setdefault(name, {})[version] = servable
            states[version] = (_States.AVAILABLE, 0, "")
            LOGGER.info("model %r version %d is available (warm-up: %d)", name, version, count)
        available = self.available()
        if failures and not available:
            raise ValueError(failures[0])
        return available

    def available(self) -> list[Servable]:
        """Every loaded version, by name and number."""
        return [
            self._servables[name][version]
            for name in sorted(self._servables)
            for version in sorted(self._servables[name])
        ]

    def resolve(self, spec: Any) -> Servable:
        """The version that a `ModelSpec` means: the given one, or the newest available.

        Raises:
            ServingError: NOT_FOUND, or INVALID_ARGUMENT without a name and for labels.
        """
        if not spec.name:
            raise invalid_argument("ModelSpec has no name specified.")
        versions = self._servables.get(spec.name, {})
        choice = spec.WhichOneof("version_choice")
        if choice == "version_label":
            raise invalid_argument(f"Unrecognized servable version label: {spec.version_label}")
        if choice == "version":
            wanted = f"Specific({spec.name}, {spec.version.value})"
            version = spec.version.value
        else:
            wanted = f"Latest({spec.name})"
            version = max(versions, default=None)
        if version not in versions:
            message = f"Servable not found for request: {wanted}"
            raise ServingError(grpc.StatusCode.NOT_FOUND, message)
        return versions[version]

    @contextmanager
    def acquire(self, spec: Any) -> Iterator[Servable]:
        """The version that a `ModelSpec` means, held until the request ends.

        Raises:
            ServingError: as `resolve`.
        """
        yield self.resolve(spec)

    def predict(self, request: Any) -> Any:
        """Answers a `PredictRequest`."""
        _check_spec(request)
        return self.resolve(request.model_spec).predict(request)

    def metadata(self, request: Any) -> Any:
        """Answers a `GetModelMetadataRequest`: every signature of the version."""
        if not request.metadata_field:
            raise invalid_argument(
                "GetModelMetadataRequest must specify at least one metadata_field"
            )
        for field in request.metadata_field:
            if field != "signature_def":
                raise invalid_argument(f"Metadata field {field} is not supported")
        _check_spec(request)
        servable = self.resolve(request.model_spec)
        signatures = SignatureDefMap()
        for name, signature in servable.signature_defs.items():
            signatures.signature_def[name].CopyFrom(signature)
        response = GetModelMetadataResponse()
        response.model_spec.name = servable.name
        response.model_spec.version.value = servable.version
        response.metadata["signature_def"].Pack(signatures)
        return response

    def status(self, request: Any) -> Any:
        """Answers a `GetModelStatusRequest`: versions ever seen, newest first."""
        _check_spec(request)
        spec = request.model_spec
        states = self._states.get(spec.name, {})
        if not states:
            message = f"Could not find any versions of model {spec.name}"
            raise ServingError(grpc.StatusCode.NOT_FOUND, message)
        if spec.WhichOneof("version_choice") == "version":
            version = spec.version.value
            if version not in states:
                message = f"Could not find version {version} of model {spec.name}"
                raise ServingError(grpc.StatusCode.NOT_FOUND, message)
            states = {version: states[version]}
        response = GetModelStatusResponse()
        for version in sorted(states, reverse=True):
            state, code, text = states[version]
            entry = response.model_version_status.add(version=version, state=state)
            entry.status.error_code = code
            entry.status.error_message = text
        return response


def _check_spec(request: Any) -> None:
    if not request.HasField("model_spec"):
        raise invalid_argument("Missing ModelSpec")
