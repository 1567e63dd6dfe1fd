"""What a client is told of a run that was stopped."""

from types import SimpleNamespace

import pytest

from polysemy.serving.server import cancellation as module
from polysemy.serving.server.cancellation import Cancellation

NOW = 100.0


@pytest.fixture(autouse=True)
def clock(monkeypatch):
    monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: NOW))


@pytest.mark.parametrize(
    ("deadline", "hangs_up", "code"),
    [
        (NOW + 60, True, "CANCELLED"),
        # The client's deadline is the earlier one: it has waited as long as it said.
        (NOW + 0.015, True, "DEADLINE_EXCEEDED"),
        (NOW, False, "DEADLINE_EXCEEDED"),
        (None, True, "CANCELLED"),
    ],
)
def test_who_hangs_up_at_the_deadline_is_late(deadline, hangs_up, code):
    cancellation = Cancellation(deadline)
    if hangs_up:
        cancellation.cancel()
    assert cancellation.error().code.name == code


def test_a_short_time_is_enough_to_begin():
    Cancellation(NOW + 0.015).check()
