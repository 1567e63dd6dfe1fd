"""Waits for the models of a server that starts: nothing listens before they are there."""

from __future__ import annotations

import logging
import time

from ..errors import ServingError
from .labels import checked_labels
from .manager import ModelManager
from .served_model import ServedModel

LOGGER = logging.getLogger(__name__)


def load_models(manager: ModelManager) -> None:
    """Loads the models; returns when the server may open its ports.

    That is when every model has a version available. A model that fails, or has no versions yet,
    does not stop the others (in TensorFlow Serving it does, and here with `strict_start`): it is
    tried again while they serve. When there is none to serve, this waits as long as a retry or a
    poll may bring one.

    Raises:
        ValueError: if nothing can be served, or a label points to a version that is not loaded.
    """
    options = manager.options
    pause = max(options.file_system_poll_wait_seconds, 0) or 1
    manager.poll()
    while True:
        manager.settle()
        with manager.changed:
            models = list(manager.configured.values())
            missing = [model for model in models if not model.available()]
            lost = [model for model in missing if _is_lost(model, manager)]
        enough = len(missing) < len(models) and not options.strict_start
        if not missing or (enough and missing):
            break
        if lost and (options.strict_start or len(lost) == len(missing)):
            raise ValueError(_why(lost[0]))
        time.sleep(min(pause, max(options.load_retry_interval_micros / 1e6, 0.01)))
        if options.file_system_poll_wait_seconds > 0:
            manager.poll()
        else:
            manager.retry()
    for model in missing:
        LOGGER.error("model %r is not served: %s", model.name, _why(model))
    _set_labels(manager, {model.name for model in missing})


def _is_lost(model: ServedModel, manager: ModelManager) -> bool:
    """Whether neither a retry nor a poll can bring a version."""
    if any(version.retry_at is not None for version in model.failed()):
        return False
    return bool(model.failed()) or manager.options.file_system_poll_wait_seconds <= 0


def _why(model: ServedModel) -> str:
    failed = model.failed()
    if failed:
        version = failed[-1]
        return version.problem[1].replace(
            f"{model.name}/{version.number}", str(version.path)
        )  # the person who starts a server may know its paths
    return f"model {model.name!r} has no versions: {model.listing_error} ({model.base_path})"


def _set_labels(manager: ModelManager, missing: set[str]) -> None:
    """Labels are looked at after the models, so that a server can start with them.

    Those of a model that is not there yet are set: it may come.
    """
    with manager.changed:
        configs = [model.config for model in manager.configured.values()]
    try:
        manager.labels = checked_labels(
            configs,
            {},
            lambda name, number: name in missing or manager.is_available(name, number),
            manager.options.allow_version_labels_for_unavailable_models,
        )
    except ServingError as error:
        raise ValueError(error.message) from error
