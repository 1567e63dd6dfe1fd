"""Names for versions: `stable`, `canary`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import grpc

from ..errors import ServingError

Labels = dict[str, dict[str, int]]  # model, label, version


def checked_labels(
    configs: Iterable[Any],
    current: Mapping[str, Mapping[str, int]],
    is_available: Callable[[str, int], bool],
    allow_unavailable: bool,
) -> Labels:
    """The labels of a new configuration, if each points to a version that can answer.

    Args:
        configs: the new `ModelConfig`s.
        current: the labels in use.
        is_available: whether a model's version is loaded.
        allow_unavailable: whether labels that are not in use may point anywhere.

    Raises:
        ServingError: FAILED_PRECONDITION, with TensorFlow Serving's words.

    Example:
    >>> from polysemy.serving.protos import ModelConfig
    >>> config = ModelConfig(name="elmo", version_labels={"stable": 2})
    >>> checked_labels([config], {}, lambda model, version: version == 2, False)
    {'elmo': {'stable': 2}}
    """
    labels: Labels = {}
    for config in configs:
        for label, version in sorted(config.version_labels.items()):
            before = current.get(config.name, {}).get(label)
            free = allow_unavailable and before is None
            # A label that stays where it is takes nothing away, whatever became of its version.
            if not (free or before == version or is_available(config.name, version)):
                raise ServingError(
                    grpc.StatusCode.FAILED_PRECONDITION,
                    f"Request to assign label to version {version} of model {config.name}, "
                    "which is not currently available for inference",
                )
            labels.setdefault(config.name, {})[label] = version
    return labels
