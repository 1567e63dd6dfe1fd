"""Which of the versions found shall be served."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any


def wanted_versions(policy: Any, found: Iterable[int]) -> list[int]:
    """The versions that a `ServableVersionPolicy` chooses, ascending.

    Unset is the latest one; `latest` the n largest, at least one; `all`; `specific` those of its
    versions that are there.

    Example:
    >>> from polysemy.serving.protos import ModelConfig
    >>> policy = ModelConfig().model_version_policy
    >>> wanted_versions(policy, [3, 1, 2])
    [3]
    >>> policy.latest.num_versions = 2
    >>> wanted_versions(policy, [3, 1, 2])
    [2, 3]
    >>> policy.specific.versions.extend([1, 7])
    >>> wanted_versions(policy, [3, 1, 2])
    [1]
    """
    versions = sorted(found)
    choice = policy.WhichOneof("policy_choice")
    if choice == "all":
        return versions
    if choice == "specific":
        return [version for version in versions if version in policy.specific.versions]
    return versions[-max(1, policy.latest.num_versions) :]
