"""Optimizers by name, from the trainer's configuration."""

from __future__ import annotations

import keras

from .config import TrainerConfig
from .overrides import nearest
from .schedules import build_schedule

OPTIMIZERS = {
    "adadelta": keras.optimizers.Adadelta,
    "adafactor": keras.optimizers.Adafactor,
    "adagrad": keras.optimizers.Adagrad,
    "adam": keras.optimizers.Adam,
    "adamw": keras.optimizers.AdamW,
    "lion": keras.optimizers.Lion,
    "nadam": keras.optimizers.Nadam,
    "rmsprop": keras.optimizers.RMSprop,
    "sgd": keras.optimizers.SGD,
}

# Variables that keep their size: biases, and scale and shift of normalization.
UNDECAYED = ("bias", "gamma", "beta", "scale")


def build_optimizer(config: TrainerConfig, total_updates: int | None = None):
    """Returns the Keras optimizer: schedule, clipping, accumulation and decay as configured.

    Under `tf.distribute` Keras clips each replica's gradient before the replicas are summed, which
    is not the clipping of the global batch; here the gradients are summed first, so the number of
    replicas does not change the result.

    Args:
        config: TrainerConfig.
        total_updates: int or None. Updates of the whole training, for a schedule that ends.

    Raises:
        ValueError: an unknown name (the nearest is named) or an option that the optimizer does not
            have.

    Example:
    >>> from polysemy.recipes.config import TrainerConfig
    >>> from polysemy.recipes.optimizers import build_optimizer
    >>> config = TrainerConfig(steps=10, optimizer="adagrad", gradient_clip_norm=5.0)
    >>> build_optimizer(config).global_clipnorm
    5.0
    """
    if config.optimizer not in OPTIMIZERS:
        raise ValueError(
            f"`trainer.optimizer` must be one of {', '.join(OPTIMIZERS)}"
            f"{nearest(config.optimizer, OPTIMIZERS)}. Received: optimizer={config.optimizer!r}."
        )
    arguments = dict(config.optimizer_options)
    if config.weight_decay is not None:
        arguments["weight_decay"] = config.weight_decay
    accumulation = config.gradient_accumulation if config.gradient_accumulation > 1 else None
    cls = _summed_before_clipping(OPTIMIZERS[config.optimizer])
    try:
        optimizer = cls(
            learning_rate=build_schedule(config, total_updates),
            global_clipnorm=config.gradient_clip_norm,
            gradient_accumulation_steps=accumulation,
            **arguments,
        )
    except (TypeError, ValueError) as error:
        if not config.optimizer_options:
            raise
        raise ValueError(
            f"`trainer.optimizer_options` must be arguments of {config.optimizer}: {error} "
            f"Received: optimizer_options={dict(config.optimizer_options)}."
        ) from error
    if config.weight_decay is not None:
        optimizer.exclude_from_weight_decay(var_names=list(UNDECAYED))
    return optimizer


def _summed_before_clipping(cls):
    """Returns a subclass of a Keras optimizer that clips the gradient of all replicas instead of
    each replica's.
    """

    class Optimizer(cls):
        def _get_current_learning_rate(self):
            # Keras hands the schedule the batches, which under accumulation are not the updates.
            if isinstance(self._learning_rate, keras.optimizers.schedules.LearningRateSchedule):
                return self._learning_rate(self.iterations)
            return super()._get_current_learning_rate()

        def _clip_gradients(self, grads):
            if self.global_clipnorm is None:
                return super()._clip_gradients(grads)
            summed = super()._all_reduce_sum_gradients([(gradient, None) for gradient in grads])
            return super()._clip_gradients([gradient for gradient, _ in summed])

        def _all_reduce_sum_gradients(self, grads_and_vars):
            if self.global_clipnorm is None:
                return super()._all_reduce_sum_gradients(grads_and_vars)
            return grads_and_vars  # `_clip_gradients` has summed them

    Optimizer.__name__ = cls.__name__
    return Optimizer
