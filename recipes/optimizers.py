"""Optimizers by name, from the trainer's configuration."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any

import keras
import tensorflow as tf

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

# How Keras calls Adam's moments.
MOMENTS = ("momentum", "velocity", "velocity_hat")

# Variables that keep their size: biases, and scale and shift of normalization.
UNDECAYED = ("bias", "gamma", "beta", "scale")

# What precedes the layers: embeddings, and what makes vectors of a word's characters.
_LOWEST = re.compile(r"embedding|(?:^|/)(?:token_encoder|character_cnn)/")
_NUMBERED = re.compile(r"(?:^|/)[a-z_]*(?:layer|block|lstm|forward|backward)_(\d+)(?=/)")


def build_optimizer(
    config: TrainerConfig, total_updates: int | None = None, model: keras.Model | None = None
):
    """Returns the Keras optimizer: schedule, clipping, accumulation and decay as configured.

    Under `tf.distribute` Keras clips each replica's gradient before the replicas are summed, which
    is not the clipping of the global batch; here the gradients are summed first, so the number of
    replicas does not change the result.

    Args:
        config: TrainerConfig.
        total_updates: int or None. Updates of the whole training, for a schedule that ends.
        model: keras.Model or None. What is trained; `trainer.layer_decay` reads the layers of its
            `backbone`.

    Raises:
        ValueError: an unknown name (the nearest is named), an option that the optimizer does not
            have, a warm-up that is longer than the training, `trainer.layer_decay` for a model
            that trains no numbered layers of a backbone, or an optimizer that has no numbers for
            the precision.

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
    if config.optimizer == "nadam" and config.mixed_precision == "bfloat16":
        raise ValueError(
            "`trainer.optimizer` must be another one under bfloat16, where nadam's 0.999 is 1 and "
            "its first step divides by zero. Received: optimizer='nadam', "
            "mixed_precision='bfloat16'."
        )
    # Keras's AdamW decays if it is not told otherwise, and takes no None.
    arguments = {"weight_decay": 0.0, **config.optimizer_options}
    if config.weight_decay is not None:
        arguments["weight_decay"] = config.weight_decay
    accumulation = config.gradient_accumulation if config.gradient_accumulation > 1 else None
    cls = _summed_before_clipping(_in_one_pass(OPTIMIZERS[config.optimizer]))
    if config.layer_decay is not None:
        cls = _decayed_by_layer(cls, config.layer_decay, _backbone_depths(config, model))
    learning_rate = build_schedule(config, total_updates)  # its errors are not of the options
    try:
        optimizer = cls(
            learning_rate=learning_rate,
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
    if not optimizer.weight_decay:
        optimizer.weight_decay = None  # a decay by nothing would still pass over all variables
    optimizer.exclude_from_weight_decay(var_names=list(UNDECAYED))
    return optimizer


def _in_one_pass(cls):
    """Returns a subclass of Adam or AdamW that updates a variable by one op; others as they are.

    Keras's own step is a dozen ops, each of which reads and writes as much memory as the variable:
    for the embeddings of a small model, as long as all else of a training step on short texts.

    Variables of sixteen bits are updated in float32, with moments in float32: in bfloat16 the
    second moment's factor, 0.999, would be 1.
    """
    if cls not in (keras.optimizers.Adam, keras.optimizers.AdamW):
        return cls

    class Optimizer(cls):
        def add_variable_from_reference(
            self, reference_variable, name=None, initializer: Any = "zeros"
        ):
            if name not in MOMENTS or not _is_half(reference_variable.dtype):
                return super().add_variable_from_reference(reference_variable, name, initializer)
            with self._distribution_strategy.extended.colocate_vars_with(reference_variable.value):
                return self.add_variable(
                    reference_variable.shape,
                    initializer,
                    dtype="float32",
                    name=f"{reference_variable.path.replace('/', '_')}_{name}",
                )

        def update_step(self, gradient, variable, learning_rate):
            if _is_half(variable.dtype):
                self._update_half(gradient, variable, learning_rate)
                return
            if self.amsgrad:
                super().update_step(gradient, variable, learning_rate)
                return
            index = self._get_variable_index(variable)
            dtype = variable.dtype
            update = tf.cast(self.iterations + 1, dtype)
            tf.raw_ops.ResourceApplyAdam(
                var=variable.handle,
                m=self._momentums[index].value.handle,
                v=self._velocities[index].value.handle,
                beta1_power=tf.cast(self.beta_1, dtype) ** update,
                beta2_power=tf.cast(self.beta_2, dtype) ** update,
                lr=tf.cast(learning_rate, dtype),
                beta1=tf.cast(self.beta_1, dtype),
                beta2=tf.cast(self.beta_2, dtype),
                epsilon=tf.cast(self.epsilon, dtype),
                grad=tf.cast(tf.convert_to_tensor(gradient), dtype),
                use_locking=True,
            )

        def _update_half(self, gradient, variable, learning_rate):
            index = self._get_variable_index(variable)
            gradient = tf.cast(tf.convert_to_tensor(gradient), tf.float32)
            update = tf.cast(self.iterations + 1, tf.float32)
            first, second = self._momentums[index], self._velocities[index]
            self.assign_add(first, (gradient - first) * (1 - self.beta_1))
            self.assign_add(second, (tf.square(gradient) - second) * (1 - self.beta_2))
            if self.amsgrad:
                highest = self._velocity_hats[index]
                self.assign(highest, tf.maximum(highest, second))
                second = highest
            rate = tf.cast(learning_rate, tf.float32)
            rate *= tf.sqrt(1 - self.beta_2**update) / (1 - self.beta_1**update)
            step = rate * first / (tf.sqrt(second) + self.epsilon)
            self.assign(variable, tf.cast(variable, tf.float32) - step)  # rounded once

    Optimizer.__name__ = cls.__name__
    return Optimizer


def _is_half(dtype) -> bool:
    return tf.as_dtype(dtype).size == 2


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
            # Of sixteen bits, squares would overflow, and Keras adds up those of one type only.
            return super()._clip_gradients(
                [
                    tf.cast(gradient, tf.float32)
                    if gradient is not None and _is_half(gradient.dtype)
                    else gradient
                    for gradient, _ in summed
                ]
            )

        def _all_reduce_sum_gradients(self, grads_and_vars):
            if self.global_clipnorm is None:
                return super()._all_reduce_sum_gradients(grads_and_vars)
            return grads_and_vars  # `_clip_gradients` has summed them

    Optimizer.__name__ = cls.__name__
    return Optimizer


def layer_depth(paths: Iterable[str]) -> dict[str, int]:
    """Counts for each variable of a backbone how many layers lie between it and the head.

    A layer's number is read in its name: `…/transformer_layer_3/…`. Embeddings, and layers that
    read characters, lie below layer 0, all else above the highest one.

    Args:
        paths: `path` of each variable of a backbone.

    Returns:
        path → depth, 0 right below the head; all 0 where no layer has a number.

    Example:
    >>> paths = ["bert/token_embedding/embeddings", "bert/layer_0/kernel", "bert/layer_1/kernel"]
    >>> list(layer_depth([*paths, "pooler/kernel"]).values())
    [3, 2, 1, 0]

    Reference: [Howard and Ruder, 2018](https://arxiv.org/abs/1801.06146), section 3.2;
    [Clark et al., 2020](https://arxiv.org/abs/2003.10555), appendix A
    """
    numbers: dict[str, int | None] = {}
    for path in paths:
        found = _NUMBERED.search(path)
        below = -1 if _LOWEST.search(path) else None
        numbers[path] = int(found.group(1)) if found else below
    layers = [number for number in numbers.values() if number is not None]
    if max(layers, default=-1) < 0:
        return dict.fromkeys(numbers, 0)
    top = max(layers) + 1
    return {path: 0 if number is None else top - number for path, number in numbers.items()}


def _backbone_depths(config: TrainerConfig, model: Any) -> Callable[[Any], int]:
    """Returns the depth of a variable: 0 of all that is not the model's backbone's.

    By the variable itself: a head may have layers of the same names as the backbone's.
    """
    backbone = getattr(model, "backbone", None)
    variables = [] if backbone is None else list(backbone.trainable_variables)
    depths = layer_depth(variable.path for variable in variables)
    if not any(depths.values()):
        what = "none" if backbone is None else type(backbone).__name__
        raise ValueError(
            "`trainer.layer_decay` must be none where no numbered layers of an encoder are "
            f"trained. Received: layer_decay={config.layer_decay}, encoder: {what}."
        )
    known = {id(variable): depths[variable.path] for variable in variables}
    return lambda variable: known.get(id(variable), 0)


def _decayed_by_layer(cls, decay: float, depth: Callable[[Any], int]):
    """Returns a subclass of an optimizer whose rate falls with a variable's depth."""

    class Optimizer(cls):
        def build(self, variables):
            self._rate_factors = {
                self._var_key(variable): decay ** depth(variable) for variable in variables
            }
            super().build(variables)

        def update_step(self, gradient, variable, learning_rate):
            factor = tf.cast(self._rate_factors[self._var_key(variable)], learning_rate.dtype)
            return super().update_step(gradient, variable, learning_rate * factor)

        def _apply_weight_decay(self, variables):
            # The decay is part of the update, so it has the variable's own rate.
            weight_decay = self.weight_decay
            if weight_decay is None:
                return
            for variable in variables:
                self.weight_decay = weight_decay * self._rate_factors[self._var_key(variable)]
                super()._apply_weight_decay([variable])
            self.weight_decay = weight_decay

    Optimizer.__name__ = cls.__name__
    return Optimizer
