"""Epochs: the Keras callback that divides the steps into epochs and acts at their ends."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from ..config import TrainerConfig
from ..state import TrainingState
from .progress import Progress


class Epochs(keras.callbacks.Callback):
    """Counts steps and calls `on_end` after each epoch, wherever in a pass over the data it ends.

    What `fit` calls an epoch is here a pass over the data. An epoch is `steps_per_epoch` steps, or
    a pass where that is None.

    Args:
        config: TrainerConfig.
        state: TrainingState, updated here.
        progress: Progress.
        tokens: tf.Variable, the number of tokens that the data pipeline has given out.
        on_end: function of the epoch's training scores; evaluates and saves. Called with
            `state.epoch` already counted up.
    """

    def __init__(
        self,
        config: TrainerConfig,
        state: TrainingState,
        progress: Progress,
        tokens: tf.Variable,
        on_end: Callable[[Mapping[str, float]], None],
    ):
        super().__init__()
        self.config = config
        self.state = state
        self.progress = progress
        self.tokens = tokens
        self.on_end = on_end
        self._epoch_step = state.step  # step at which the epoch began
        self._mark()

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        self._batch = batch

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        done = batch - self._batch + 1  # more than one with `steps_per_execution`
        self.state.step += done
        self.state.offset += done
        if self.progress.is_due():
            self.progress.update(self.state.step, self._scores(logs))
        length = self.config.steps_per_epoch
        last = self.config.steps is not None and self.state.step >= self.config.steps
        if last or (length is not None and self.state.step - self._epoch_step >= length):
            self._end(logs)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        if self.state.finished:
            return  # stopped in the middle of the pass
        self.state.pass_index += 1
        self.state.offset = 0
        if self.config.steps_per_epoch is None and self.state.step > self._epoch_step:
            self._end(logs)

    def _end(self, logs: Any) -> None:
        """Ends the epoch: scores, `on_end`, and the metrics start anew."""
        scores = self._scores(logs)
        now, tokens = time.monotonic(), int(self.tokens.numpy())
        self.state.seconds += now - self._time
        self.state.tokens += tokens - self._tokens
        self.state.epoch += 1
        if not math.isfinite(scores.get("loss", 0.0)):
            mend = "Lower `trainer.learning_rate` or set `trainer.gradient_clip_norm`"
            if self.state.epoch > 1:  # a run is continued with its own configuration only
                mend = f"The checkpoint of the epoch before is kept. {mend}, in another `out`"
            raise FloatingPointError(
                f"The training loss must be finite. Received: loss={scores['loss']} at step "
                f"{self.state.step}. {mend}."
            )
        limit = self.config.epochs
        self.state.finished = (limit is not None and self.state.epoch >= limit) or (
            self.config.steps is not None and self.state.step >= self.config.steps
        )
        self._epoch_step = self.state.step
        self.on_end(scores)
        self.model.reset_metrics()
        if self.state.finished:
            self.model.stop_training = True
        self._mark()

    def _scores(self, logs: Any) -> dict[str, float]:
        """Returns the training scores as numbers, with the throughput since the epoch began."""
        scores = {key: float(np.mean(value)) for key, value in (logs or {}).items()}
        elapsed = max(time.monotonic() - self._time, 1e-9)
        return {**scores, "tokens/s": (int(self.tokens.numpy()) - self._tokens) / elapsed}

    def _mark(self) -> None:
        """Starts the clock; evaluation is not part of the throughput."""
        self._time = time.monotonic()
        self._tokens = int(self.tokens.numpy())
