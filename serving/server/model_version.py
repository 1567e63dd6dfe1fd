"""One version of a model, from the moment it is wanted to its end."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..protos import GetModelStatusResponse
from .servable import Servable

States: Any = GetModelStatusResponse().model_version_status.add().State


@dataclass(eq=False)
class ModelVersion:
    """What the manager knows of a version: its state, its servable, who uses it.

    Args:
        model: str. The model's name.
        number: int.
        path: the version's folder.

    Example:
    >>> version = ModelVersion("elmo", 1, Path("/models/elmo/1"))
    >>> version.is_busy, version.is_available, version.has_failed
    (True, False, False)
    """

    model: str
    number: int
    path: Path
    state: int = States.START
    code: int = 0  # of the error that ended it; 0 is OK
    text: str = ""
    wanted: bool = True  # by the policy
    servable: Servable | None = None
    users: int = 0  # requests that hold it
    tries: int = 0
    retry_at: float | None = None  # on the monotonic clock; None: not waiting for a retry
    problem: tuple[int, str] = (0, "")  # the last try's; the status shows it when none is left
    files: frozenset = frozenset()  # the fingerprint that the last try saw

    @property
    def is_available(self) -> bool:
        return self.state == States.AVAILABLE

    @property
    def is_busy(self) -> bool:
        """Whether it is about to be loaded, or being loaded."""
        return self.state in (States.START, States.LOADING) and self.retry_at is None

    @property
    def is_leaving(self) -> bool:
        """Whether it is being freed; not while a request holds it."""
        return self.state == States.UNLOADING and not self.users

    @property
    def returns(self) -> bool:
        """Whether it leaves and is wanted again: the manager loads it anew when it is freed."""
        return self.state == States.UNLOADING and self.wanted

    @property
    def has_failed(self) -> bool:
        """Whether it ended, or waits for a retry, because of an error."""
        return self.retry_at is not None or (self.state == States.END and self.code != 0)

    def end(self, code: int = 0, text: str = "") -> None:
        self.state, self.code, self.text = States.END, code, text
        self.retry_at = None

    def begin(self) -> None:
        """Makes it new: as if the version had just been found."""
        self.state, self.code, self.text = States.START, 0, ""
        self.tries, self.retry_at, self.problem = 0, None, (0, "")
