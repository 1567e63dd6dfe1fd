"""Changes the models of a running server, and waits for those of a server that starts."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterable
from typing import Any

import grpc

from ..errors import ServingError
from ..protos import ModelServerConfig
from .labels import checked_labels
from .manager import ModelManager
from .model_config import check_platforms, checked_models, configured_models, read_model_configs
from .served_model import ServedModel

LOGGER = logging.getLogger(__name__)


class ConfigReloader:
    """Accepts a configuration whole or not at all.

    Args:
        manager: the models.

    Example:
    >>> from polysemy.serving.protos import ModelServerConfig
    >>> reloader = ConfigReloader(ModelManager([]))
    >>> config = ModelServerConfig()
    >>> config.model_config_list.config.add(name="elmo", base_path="models").model_platform = "x"
    >>> reloader.reload(config)
    Traceback (most recent call last):
    polysemy.serving.errors.ServingError: INVALID_ARGUMENT: Expected model elmo to have an \
absolute path or URI; got base_path()=models
    """

    def __init__(self, manager: ModelManager) -> None:
        self._manager = manager
        self._lock = threading.Lock()
        # What `poll` reads anew: a directory or a file, until a client sends a configuration.
        self._follows_directory = bool(manager.options.directory)
        self._problem = ""  # why it could not be read last time

    def reload(self, config: Any, wait: bool = True, timeout: float | None = None) -> None:
        """Makes a `ModelServerConfig` the whole of what is served.

        Labels switch at once and models that are not in it begin to leave. Returns when each model
        that is new has a version available. A model that is dropped and comes back before it has
        left is loaded when it is freed.

        Args:
            config: ModelServerConfig.
            wait: bool. Whether to wait for the new models.
            timeout: float. Seconds to wait.

        Raises:
            ServingError: with TensorFlow Serving's code and words. INVALID_ARGUMENT and
                FAILED_PRECONDITION change nothing. UNKNOWN: a new model did not load, or has no
                versions; DEADLINE_EXCEEDED: not in time. It stays configured, and is tried again.
        """
        started = time.monotonic()
        with self._lock:
            manager = self._manager
            with manager.changed:
                served = {name: model.config for name, model in manager.configured.items()}
                current = manager.labels
            configs = checked_models(config, served)
            labels = checked_labels(
                configs,
                current,
                manager.is_available,
                manager.options.allow_version_labels_for_unavailable_models,
            )
            check_platforms(configs)
            with manager.changed:
                manager.labels = labels
            new = manager.configure(configs)
            self._follows_directory = False
            manager.poll()
        if wait:
            left = None if timeout is None else max(0.0, timeout - (time.monotonic() - started))
            self._wait(new, left)

    def follow(self) -> None:
        """Takes in what has changed in the directory of models, unless a client has configured.

        A directory that cannot be read changes nothing, and a model's folder nothing of that model.
        """
        with self._lock:
            if not self._follows_directory:
                return
            manager = self._manager
            with manager.changed:
                known = {model.config.base_path for model in manager.configured.values()}
            problem = ""
            try:
                manager.configure(configured_models(manager.options, known))
            except (OSError, ValueError, ServingError) as error:
                problem = str(error)
                if problem != self._problem:
                    LOGGER.warning("the models stay as they were: %s", problem)
            self._problem = problem

    def read_file(self) -> None:
        """Reads the configuration file anew; what is wrong with it is logged and changes nothing.

        Does not wait for the models: what a client asked for meanwhile would wait, too.
        """
        path = self._manager.options.model_config_file
        try:
            configs = read_model_configs(path)
        except ValueError as error:
            LOGGER.error("the configuration stays as it was: %s", error)
            return
        with self._manager.changed:
            now = {name: m.config for name, m in self._manager.configured.items()}
        if now == {config.name: config for config in configs}:
            return
        LOGGER.info("the configuration file has changed")
        config = _as_server_config(configs)
        try:
            self.reload(config, wait=False)
        except ServingError as error:
            LOGGER.error("the configuration stays as it was: %s", error)

    def _wait(self, new: Iterable[ServedModel], timeout: float | None) -> None:
        manager, new = self._manager, list(new)
        with manager.changed:
            in_time = manager.changed.wait_for(lambda: all(_is_decided(m) for m in new), timeout)
            failures = [_failure(model) for model in new if not model.available()]
        if not in_time:
            raise ServingError(
                grpc.StatusCode.DEADLINE_EXCEEDED,
                "The new models did not become available in time; their loading goes on",
            )
        if failures:
            text = "".join(f"{{{failure}}}, " for failure in failures)
            raise ServingError(
                grpc.StatusCode.UNKNOWN,
                f"{len(failures)} model(s) did not become available: {{{text}}}",
            )


def _is_decided(model: ServedModel) -> bool:
    """Whether a model is available, or not to be without a retry or new files."""
    return bool(model.available()) or not model.is_busy()


def _failure(model: ServedModel) -> str:
    failed = model.failed()
    if not failed:
        return f"{{name: {model.name}}} due to error: NOT_FOUND: it has no versions to serve"
    version = failed[-1]
    code, text = version.problem
    name = next((c.name for c in grpc.StatusCode if c.value[0] == code), "UNKNOWN")
    return f"{{name: {model.name} version: {version.number}}} due to error: {name}: {text}"


def _as_server_config(configs: Iterable[Any]) -> Any:
    config = ModelServerConfig()
    config.model_config_list.config.extend(configs)
    return config
