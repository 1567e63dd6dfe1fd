"""Which versions are loaded, and which one a request means."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from typing import Any

import grpc

from ..errors import ServingError, invalid_argument
from ..protos import GetModelMetadataResponse, SignatureDefMap
from .folders import list_versions
from .labels import Labels
from .loading import fingerprint, give_memory_back, load_problem, load_version
from .model_status import model_status
from .model_version import ModelVersion, States
from .options import ServerOptions
from .servable import Servable
from .served_model import ServedModel

LOGGER = logging.getLogger(__name__)


class ModelManager:
    """Loads and frees versions as their policies say, and resolves requests to versions.

    A new version is loaded and warmed up, on a thread of the manager's own, before the one that it
    replaces leaves; that one is freed after the last request that uses it. What goes wrong with
    one model stays with that model.

    Nothing happens by itself: `poll` looks at the base paths, and a `Poller` calls it.

    Args:
        configs: `ModelConfig`s.
        options: the server's. Default: TensorFlow Serving's defaults.
        batching: BatchingParameters, or None to run each request by itself.
        metrics: where to count what happens, or None.

    Example:
    >>> manager = ModelManager([])
    >>> manager.poll()
    >>> manager.available()
    []
    """

    def __init__(
        self,
        configs: Iterable[Any],
        options: ServerOptions | None = None,
        batching: Any = None,
        metrics: Any = None,
    ) -> None:
        self.options = options or ServerOptions()
        self.batching = batching
        self.metrics = metrics
        self.labels: Labels = {}
        # Every model that this process has seen; those in `configured` are listed by `poll`.
        self.models: dict[str, ServedModel] = {}
        self.configured: dict[str, ServedModel] = {}
        # Guards all of the above, and is notified of every change of a version's state.
        self.changed = threading.Condition()
        self._polling = threading.Lock()
        self._closed = self._shut = False
        self.load_attempts = 0
        self._unloads = 0  # under way
        # Two by default: a model that takes minutes must not keep the others waiting.
        self._loaders = ThreadPoolExecutor(self.options.num_load_threads or 2, "load")
        self._unloaders = ThreadPoolExecutor(self.options.num_unload_threads or 1, "unload")
        self.configure(configs)

    def configure(self, configs: Iterable[Any]) -> list[ServedModel]:
        """Makes these the models; those that are no longer among them begin to leave.

        Takes effect with the next `poll`; returns the models that are new.
        """
        with self.changed:
            before, self.configured = self.configured, {}
            for config in configs:
                model = self.models.get(config.name)
                if model is None:
                    model = self.models[config.name] = ServedModel(config)
                model.config = config
                self.configured[config.name] = model
            for name in set(before) - set(self.configured):
                LOGGER.info("model %r is no longer served", name)
                before[name].aspire({})
                self._retire(before[name])
            return [model for name, model in self.configured.items() if name not in before]

    def poll(self) -> None:
        """Lists the base paths once and starts what follows: loads, retries, unloads."""
        with self._polling:
            with self.changed:
                models = list(self.configured.values())
            for model in models:
                try:
                    found = list_versions(model.base_path)
                except OSError as error:
                    # A storage that is away says nothing of its versions: what is loaded stays.
                    self._note_listing(model, f"{error.strerror}: {model.base_path}")
                    continue
                self._note_listing(model, "" if found else "it has no versions")
                with self.changed:
                    failed = model.failed()
                changed = [each for each in failed if fingerprint(each.path) != each.files]
                with self.changed:
                    if self.configured.get(model.name) is not model:
                        continue
                    fresh = model.aspire(found)
                    for version in changed:
                        if version.wanted and version.has_failed:
                            version.begin()
                            fresh.append(version)
                    self._submit(model, fresh)
                    self._retire(model)
            self.retry()

    def retry(self) -> None:
        """Starts the loads whose pause after a failure is over."""
        now = time.monotonic()
        with self.changed:
            for model in self.configured.values():
                for version in model.failed():
                    if version.retry_at is not None and version.retry_at <= now:
                        version.retry_at = None
                        self._submit(model, [version])

    def settle(self, timeout: float | None = None) -> bool:
        """Waits until nothing is being loaded or freed; whether that came about in time.

        Versions that requests still hold, or that wait for a retry, are not waited for.
        """
        with self.changed:
            return self.changed.wait_for(lambda: not self._is_busy(), timeout)

    def available(self) -> list[Servable]:
        """Every loaded version, by name and number."""
        with self.changed:
            versions = [v for _, m in sorted(self.models.items()) for v in m.available()]
            return [version.servable for version in versions if version.servable is not None]

    def is_available(self, name: str, number: int) -> bool:
        """Whether a version can answer."""
        with self.changed:
            model = self.models.get(name)
            return model is not None and number in {v.number for v in model.available()}

    @contextmanager
    def acquire(self, spec: Any) -> Iterator[Servable]:
        """The version that a `ModelSpec` means, held until the request ends.

        The given version, the one that a label points to, or the newest that is available. While
        it is held it stays loaded, whatever happens to its folder and its model.

        Raises:
            ServingError: NOT_FOUND, or INVALID_ARGUMENT without a name or for an unknown label.
        """
        with self.changed:
            version = self._resolve(spec)
            servable = version.servable
            assert servable is not None  # as it is available
            version.users += 1
        try:
            yield servable
        finally:
            del servable
            with self.changed:
                version.users -= 1
                if version.state == States.UNLOADING and not version.users:
                    self._free(version)

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
        signatures, response = SignatureDefMap(), GetModelMetadataResponse()
        with self.acquire(request.model_spec) as servable:
            for name, signature in servable.signature_defs.items():
                signatures.signature_def[name].CopyFrom(signature)
            response.model_spec.name = servable.name
            response.model_spec.version.value = servable.version
        response.metadata["signature_def"].Pack(signatures)
        return response

    def status(self, request: Any) -> Any:
        """Answers a `GetModelStatusRequest`."""
        with self.changed:
            return model_status(self.models, request)

    def close(self) -> None:
        """Frees every version that no request holds, and waits for that, not for loads."""
        with self.changed:
            self._closed = True
        self._loaders.shutdown(wait=False, cancel_futures=True)
        self.configure([])
        with self.changed:
            self.changed.wait_for(lambda: not any(v.is_leaving for v in self._versions()))
            self._shut = True
        self._unloaders.shutdown()

    def _resolve(self, spec: Any) -> ModelVersion:
        if not spec.name:
            raise invalid_argument("ModelSpec has no name specified.")
        choice = spec.WhichOneof("version_choice")
        number: int | None
        if choice == "version_label":
            number = self.labels.get(spec.name, {}).get(spec.version_label)
            if number is None:
                raise invalid_argument(f"Unrecognized servable version label: {spec.version_label}")
        else:
            number = spec.version.value if choice == "version" else None
        model = self.models.get(spec.name)
        for version in reversed(model.available() if model is not None else []):
            if number is None or version.number == number:
                return version
        wanted = f"Latest({spec.name})" if number is None else f"Specific({spec.name}, {number})"
        raise ServingError(grpc.StatusCode.NOT_FOUND, f"Servable not found for request: {wanted}")

    # Below, the lock is held by the caller, but for `_load` and what runs on other threads.

    def _submit(self, model: ServedModel, versions: Iterable[ModelVersion]) -> None:
        for version in versions:
            if self._closed:
                version.end()
            else:
                future = self._loaders.submit(self._load, version)
                future.add_done_callback(partial(self._loaded, model, version))

    def _load(self, version: ModelVersion) -> Servable | None:
        with self.changed:
            if not version.wanted or self._closed:
                return None
            version.state = States.LOADING
            self.load_attempts += 1
            self.changed.notify_all()
        started, success = time.perf_counter(), False
        try:
            servable = load_version(version, self.options, self.batching, self.metrics)
            success = True
            return servable
        finally:
            if self.metrics is not None:
                self.metrics.load(version.path, time.perf_counter() - started, success)

    def _loaded(self, model: ServedModel, version: ModelVersion, future: Future) -> None:
        # Whatever an unusual file makes TensorFlow raise is in the future: none ends a thread.
        error = None if future.cancelled() else future.exception()
        name = f"model {version.model!r} version {version.number}"
        with self.changed:
            servable = None if future.cancelled() or error is not None else future.result()
            if error is not None:
                version.problem = load_problem(error, version)
                version.tries += 1
                left = self.options.max_num_load_retries + 1 - version.tries
                if left > 0 and version.wanted:
                    pause = self.options.load_retry_interval_micros / 1e6
                    version.retry_at = time.monotonic() + pause
                else:
                    version.end(*version.problem)
                LOGGER.error("%s is not served (tries left: %d): %s", name, max(left, 0), error)
            elif servable is None:
                version.end()
            else:
                version.servable, version.state = servable, States.AVAILABLE
                LOGGER.info("%s is available", name)
            self._retire(model)
            self.changed.notify_all()

    def _retire(self, model: ServedModel) -> None:
        model.refresh()
        for version in model.superseded():
            version.state = States.UNLOADING
            LOGGER.info("model %r version %d leaves", version.model, version.number)
            if not version.users:
                self._free(version)
        model.refresh()
        self.changed.notify_all()

    def _free(self, version: ModelVersion) -> None:
        servable, version.servable = version.servable, None
        if self._shut:  # a request that outlived the grace: the process ends, and the memory
            version.end()
            return
        self._unloads += 1
        future = self._unloaders.submit(self._unload, [servable])
        future.add_done_callback(partial(self._freed, version))

    def _unload(self, servables: list[Servable | None]) -> None:
        # The list holds the only reference, so that the memory is free when it is given back.
        servable = servables.pop()
        if servable is not None:
            servable.unload()
        del servable
        with self.changed:
            self._unloads -= 1
            more = self._unloads
        if not more:  # once for all that leave together: it takes a while
            give_memory_back()

    def _freed(self, version: ModelVersion, future: Future) -> None:
        error = future.exception()
        if error is not None:
            LOGGER.error("model %r version %d: %s", version.model, version.number, error)
        if self.metrics is not None:
            self.metrics.unload(version.model, version.number)
        with self.changed:
            if version.returns:
                version.begin()
                self._submit(self.models[version.model], [version])
            else:
                version.end()
            self.changed.notify_all()

    def _is_busy(self) -> bool:
        return any(version.is_busy or version.is_leaving for version in self._versions())

    def _versions(self) -> list[ModelVersion]:
        return [each for model in self.models.values() for each in model.versions.values()]

    def _note_listing(self, model: ServedModel, problem: str) -> None:
        if problem and problem != model.listing_error:
            LOGGER.warning("model %r: %s", model.name, problem)
        model.listing_error = problem


def _check_spec(request: Any) -> None:
    if not request.HasField("model_spec"):
        raise invalid_argument("Missing ModelSpec")
