"""BestWeights: keeps the weights of the best dev score, and says when to stop."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from pathlib import Path

import keras

from ..overrides import nearest
from ..state import TrainingState


class BestWeights:
    """Follows one score of the dev split: the best weights go to a file, a long plateau ends the
    training.

    Args:
        path: file of the weights, ending in `.weights.h5`.
        monitor: (name of the score, "max" or "min").
        patience: int or None. Epochs without a better score after which training ends.
        writes: bool. Whether this process writes the file.

    Example:
    >>> from polysemy.recipes.callbacks import BestWeights
    >>> best = BestWeights("best.weights.h5", ("f1", "max"), patience=2)
    >>> best.is_better(0.5, None), best.is_better(0.5, 0.6)
    (True, False)
    """

    def __init__(
        self,
        path: str | Path,
        monitor: tuple[str, str],
        patience: int | None = None,
        writes: bool = True,
    ):
        self.name, self.mode = monitor
        if self.mode not in ("max", "min"):
            raise ValueError(f'`monitor` must end in "max" or "min". Received: monitor={monitor}.')
        self.path = Path(path)
        self.patience = patience
        self.writes = writes

    def is_better(self, score: float, best: float | None) -> bool:
        """Whether `score` beats `best`. A NaN beats nothing but None, and every number beats it."""
        if best is None or math.isnan(best):
            return best is None or not math.isnan(score)
        return score > best if self.mode == "max" else score < best

    def update(self, model: keras.Model, state: TrainingState, scores: Mapping[str, float]) -> bool:
        """Notes the scores of the epoch `state.epoch`; saves the weights and returns True where
        they are the best.
        """
        if self.name not in scores:
            raise ValueError(
                f"`monitor` must be a score that `evaluate` returns{nearest(self.name, scores)}. "
                f"Received: monitor={self.name!r}, scores={list(scores)}."
            )
        if not self.is_better(scores[self.name], state.best):
            return False
        state.best, state.best_epoch = float(scores[self.name]), state.epoch
        if self.writes:
            partial = self.path.with_name("partial.weights.h5")
            model.save_weights(partial)
            os.replace(partial, self.path)
        return True

    def exhausted(self, state: TrainingState) -> bool:
        """Whether `patience` epochs have passed without a better score."""
        return self.patience is not None and state.epoch - state.best_epoch >= self.patience
