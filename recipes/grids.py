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
        name → overrides; a name is each key's last part and value, joined.

    Example:
    >>> from polysemy.recipes.grids import grid
    >>> list(grid({"task.batch_size": (16, 32), "trainer.epochs": (2, 3)}))[:2]
    ['batch_size_16_epochs_2', 'batch_size_16_epochs_3']
    """
    combinations = itertools.product(*values.values())
    settings = [dict(zip(values, combination, strict=True)) for combination in combinations]
    return {
        "_".join(f"{key.split('.')[-1]}_{value:g}" for key, value in setting.items()): setting
        for setting in settings
    }
