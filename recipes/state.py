"""TrainingState: where a training is, in plain numbers."""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass
class TrainingState:
    """Where a training is; with the variables, all that a killed run needs to go on.

    Args:
        step: int. Batches trained on.
        epoch: int. Epochs finished: evaluations done.
        pass_index: int. Passes over the training data finished.
        offset: int. Batches of the current pass already trained on.
        best: float or None. The best dev score so far.
        best_epoch: int. The epoch of `best`.
        seconds: float. Time spent, over all starts.
        tokens: int. Tokens trained on, over all starts.
        finished: bool. Nothing is left to train.
    """

    step: int = 0
    epoch: int = 0
    pass_index: int = 0
    offset: int = 0
    best: float | None = None
    best_epoch: int = 0
    seconds: float = 0.0
    tokens: int = 0
    finished: bool = False
