"""One model's versions: which are wanted, which may leave."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .model_version import ModelVersion, States
from .version_policy import wanted_versions


class ServedModel:
    """Every version of a model that this process has seen.

    Holds no lock: the manager calls it under its own.

    Args:
        config: ModelConfig: name, base path, policy.

    Example:
    >>> from polysemy.serving.protos import ModelConfig
    >>> model = ServedModel(ModelConfig(name="elmo", base_path="/models/elmo"))
    >>> [version.number for version in model.aspire({1: Path("1"), 3: Path("3")})]
    [3]
    """

    def __init__(self, config: Any) -> None:
        self.config = config
        self.versions: dict[int, ModelVersion] = {}
        self.listing_error = ""  # why the base path could not be listed last time
        self._available: list[ModelVersion] = []

    @property
    def name(self) -> str:
        return self.config.name

    @property
    def base_path(self) -> Path:
        return Path(self.config.base_path.removeprefix("file://"))

    def available(self) -> list[ModelVersion]:
        """The loaded versions, ascending, as of the last `refresh`: each request asks for them."""
        return self._available

    def refresh(self) -> None:
        """Takes note that states of versions have changed."""
        self._available = [v for _, v in sorted(self.versions.items()) if v.is_available]

    def failed(self) -> list[ModelVersion]:
        """The versions whose last try failed, ascending."""
        return [v for _, v in sorted(self.versions.items()) if v.has_failed]

    def is_busy(self) -> bool:
        """Whether a version is being loaded, or will be as soon as it is freed."""
        return any(version.is_busy or version.returns for version in self.versions.values())

    def aspire(self, found: Mapping[int, Path]) -> list[ModelVersion]:
        """Takes note of the versions found; returns those to load, the highest first."""
        wanted = wanted_versions(self.config.model_version_policy, found)
        for number, version in self.versions.items():
            version.wanted = number in wanted
            if not version.wanted and version.has_failed:
                # Once it is gone, or not asked for, its number may be used again.
                version.end(*version.problem)
                version.tries = 0
        fresh = []
        for number in reversed(wanted):
            version = self.versions.get(number)
            if version is None:
                version = ModelVersion(self.name, number, found[number])
                self.versions[number] = version
                fresh.append(version)
            elif version.returns:
                version.path = found[number]
            elif version.state == States.END and (version.code == 0 or version.tries == 0):
                version.path = found[number]
                version.begin()
                fresh.append(version)
        return fresh

    def superseded(self) -> list[ModelVersion]:
        """The loaded versions that may leave now, the lowest first.

        A version that is not wanted stays as long as those that are wanted are not ready.
        """
        wanted = [version for version in self.versions.values() if version.wanted]
        if wanted and not any(version.is_available for version in wanted):
            return []
        return [version for version in self.available() if not version.wanted]
