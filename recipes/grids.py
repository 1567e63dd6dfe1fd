"""Grids of hyper-parameters as variants of an experiment."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any


def grid(values: Mapping[str, Sequence[Any]]) -> dict[str, dict[str, Any]]:
    """Every combination of values, as the `variants` of an experiment.

    Args:
        values: dotted key → its values.

    Returns:
        name → overrides; a name is each key's last part and value, joined. Numbers are written
        with six digits, or with all where six are not enough, tuples with commas.

    Raises:
        ValueError: two combinations have one name, as of equal values.

    Example:
    >>> from polysemy.recipes.grids import grid
    >>> list(grid({"task.batch_size": (16, 32), "trainer.epochs": (2, 3)}))[:2]
    ['batch_size_16_epochs_2', 'batch_size_16_epochs_3']
    >>> list(grid({"trainer.schedule": ("linear", "constant")}))
    ['schedule_linear', 'schedule_constant']
    """
    variants: dict[str, dict[str, Any]] = {}
    for combination in itertools.product(*values.values()):
        setting = dict(zip(values, combination, strict=True))
        name = "_".join(f"{key.split('.')[-1]}_{_written(value)}" for key, value in setting.items())
        if name in variants:
            raise ValueError(
                "`values` must give each combination a name of its own. Received: "
                f"{variants[name]} and {setting}, both {name!r}."
            )
        variants[name] = setting
    return variants


def _written(value: Any) -> str:
    """A value as a part of a variant's name, which is also that of a folder."""
    if isinstance(value, (int, float)):
        short = f"{value:g}"
        return short if float(short) == value else repr(value)
    if isinstance(value, (tuple, list)):
        return ",".join(map(_written, value))
    return "none" if value is None else str(value).replace("/", "-")
