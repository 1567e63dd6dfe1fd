"""Progress: one bar in a terminal, one line an epoch everywhere."""

from __future__ import annotations

import datetime
import time
from collections.abc import Mapping

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

REFRESH_SECONDS = 0.5  # reading the loss waits for the device, so not after every step


class Progress:
    """Shows how training goes: a bar with loss, tokens per second and remaining time, and a line
    for each epoch.

    Where the output is no terminal only the lines are written.

    Args:
        total_steps: int or None. Steps of the whole training, where known.
        step: int. Steps done before.
        console: rich Console, or None for standard output.
        visible: bool. False: shows nothing (workers that are not the chief).
    """

    def __init__(
        self,
        total_steps: int | None,
        step: int = 0,
        console: Console | None = None,
        visible: bool = True,
    ):
        self.total_steps = total_steps
        self.console = console or Console(soft_wrap=True, quiet=not visible, highlight=False)
        self._first_step = step
        self._started = time.monotonic()
        self._refreshed = 0.0
        self._bar = Bar(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[numbers]}"),
            TimeRemainingColumn(compact=True),
            console=self.console,
            transient=True,
            disable=not (visible and self.console.is_terminal),
        )
        self._task = self._bar.add_task("training", total=total_steps, completed=step, numbers="")

    def start(self) -> None:
        """Shows the bar."""
        self._bar.start()

    def stop(self) -> None:
        """Removes the bar."""
        self._bar.stop()

    def is_due(self) -> bool:
        """Whether the bar wants new numbers."""
        return not self._bar.disable and time.monotonic() - self._refreshed >= REFRESH_SECONDS

    def update(self, step: int, numbers: Mapping[str, float]) -> None:
        """Moves the bar."""
        self._refreshed = time.monotonic()
        self._bar.update(self._task, completed=step, numbers=_format(numbers))

    def line(self, epoch: int, step: int, numbers: Mapping[str, float], note: str = "") -> None:
        """Writes the line of an epoch."""
        parts = [
            f"epoch {epoch}",
            f"step {step}" + (f"/{self.total_steps}" if self.total_steps else ""),
        ]
        parts.append(_format(numbers) + (f" {note}" if note else ""))
        spent = time.monotonic() - self._started
        parts.append(f"{_clock(spent)} spent")
        if self.total_steps and step > self._first_step:
            left = spent / (step - self._first_step) * (self.total_steps - step)
            parts.append(f"{_clock(left)} left")
        self.message(" | ".join(parts))

    def message(self, text: str) -> None:
        """Writes a line above the bar."""
        self._bar.console.print(text, markup=False)


def _format(numbers: Mapping[str, float]) -> str:
    """Writes numbers with four digits, counts without a point."""
    return ", ".join(
        f"{key} {value:,.0f}" if key.endswith("/s") else f"{key} {value:.4g}"
        for key, value in numbers.items()
    )


def _clock(seconds: float) -> str:
    return str(datetime.timedelta(seconds=round(seconds)))
