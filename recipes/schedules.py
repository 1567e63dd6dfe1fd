"""Learning-rate schedules with a linear warm-up, as functions of the number of updates done."""

from __future__ import annotations

import keras
from keras import ops

from .config import TrainerConfig
from .overrides import nearest

SCHEDULES = ("constant", "linear", "inverse_sqrt")


@keras.saving.register_keras_serializable(package="polysemy")
class WarmupLinearDecay(keras.optimizers.schedules.LearningRateSchedule):
    """Rises from zero to `peak` over `warmup_steps` updates, then stays or falls linearly to zero
    at `total_steps`.

    Args:
        peak: float. The highest rate.
        warmup_steps: int. Updates of the rise; 0: none.
        total_steps: int or None. Update at which the rate is zero; None: it stays at `peak`.

    Example:
    >>> schedule = WarmupLinearDecay(peak=1.0, warmup_steps=2, total_steps=6)
    >>> [float(schedule(step)) for step in range(6)]
    [0.5, 1.0, 1.0, 0.75, 0.5, 0.25]

    Reference: [Devlin et al., 2019](https://arxiv.org/abs/1810.04805), appendix A.2
    """

    def __init__(self, peak, warmup_steps=0, total_steps=None):
        super().__init__()
        if total_steps is not None and total_steps <= warmup_steps:
            raise ValueError(
                "`total_steps` must be larger than `warmup_steps`. "
                f"Received: total_steps={total_steps}, warmup_steps={warmup_steps}."
            )
        self.peak = peak
        self.warmup_steps = warmup_steps
        self.total_steps = total_steps

    def __call__(self, step):
        step = ops.cast(step, "float32")
        # Counted from one, so that the first update is not lost to a rate of zero.
        factor = ops.minimum(1.0, (step + 1.0) / max(self.warmup_steps, 1))
        if self.total_steps is not None:
            left = (self.total_steps - step) / (self.total_steps - self.warmup_steps)
            factor = ops.minimum(factor, ops.maximum(left, 0.0))
        return self.peak * factor

    def get_config(self):
        return {
            "peak": self.peak,
            "warmup_steps": self.warmup_steps,
            "total_steps": self.total_steps,
        }


@keras.saving.register_keras_serializable(package="polysemy")
class InverseSquareRoot(keras.optimizers.schedules.LearningRateSchedule):
    """Rises from zero to `peak` over `warmup_steps` updates, then falls with the square root of the
    updates.

    Args:
        peak: float. The rate after `warmup_steps`.
        warmup_steps: int, at least 1.

    Example:
    >>> schedule = InverseSquareRoot(peak=1.0, warmup_steps=4)
    >>> [float(schedule(step)) for step in (0, 3, 15)]
    [0.25, 1.0, 0.5]

    Reference: [Vaswani et al., 2017](https://arxiv.org/abs/1706.03762), equation 3
    """

    def __init__(self, peak, warmup_steps):
        super().__init__()
        if warmup_steps < 1:
            raise ValueError(
                f"`warmup_steps` must be at least 1. Received: warmup_steps={warmup_steps}."
            )
        self.peak = peak
        self.warmup_steps = warmup_steps

    def __call__(self, step):
        update = ops.cast(step, "float32") + 1.0
        rise = update / self.warmup_steps
        return self.peak * ops.minimum(rise, ops.sqrt(self.warmup_steps / update))

    def get_config(self):
        return {"peak": self.peak, "warmup_steps": self.warmup_steps}


def build_schedule(config: TrainerConfig, total_updates: int | None):
    """Returns the learning rate that the configuration asks for: a schedule, or a float where it is
    constant.

    Args:
        config: TrainerConfig.
        total_updates: int or None. Updates of the whole training; "linear" and a warm-up that is a
            share of it need it.

    Raises:
        ValueError: an unknown name, two warm-ups, or one that is longer than the training.
    """
    if config.schedule not in SCHEDULES:
        raise ValueError(
            f"`trainer.schedule` must be one of {', '.join(SCHEDULES)}"
            f"{nearest(config.schedule, SCHEDULES)}. Received: schedule={config.schedule!r}."
        )
    warmup = _warmup_steps(config, total_updates)
    if config.schedule == "inverse_sqrt":
        return InverseSquareRoot(config.learning_rate, warmup)
    if config.schedule == "linear":
        if total_updates is not None and total_updates <= warmup:
            raise ValueError(
                "`trainer.warmup_steps` must be fewer than the updates of the training, which "
                "`trainer.steps` and `trainer.epochs` set. Received: "
                f"warmup_steps={warmup}, steps={config.steps}, "
                f"epochs={config.epochs}, which is {total_updates} updates."
            )
        return WarmupLinearDecay(config.learning_rate, warmup, total_updates)
    if warmup:
        return WarmupLinearDecay(config.learning_rate, warmup)
    return config.learning_rate


def _warmup_steps(config: TrainerConfig, total_updates: int | None) -> int:
    """The updates of the warm-up, however it is given."""
    config.check_warmup()
    if config.warmup_fraction is None:
        return config.warmup_steps
    if total_updates is None:
        raise ValueError(
            "`total_updates` must be given with `trainer.warmup_fraction`. Received: "
            f"total_updates=None, warmup_fraction={config.warmup_fraction}."
        )
    return int(config.warmup_fraction * total_updates)
