"""Keras `fit` on several replicas and workers: the repair of what Keras 3 does not do yet."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import keras
import tensorflow as tf


class WholeStepMixin:
    """Keeps the end of the data from being half a step.

    Keras learns that a pass has ended from the failure of a step that has no batch. TensorFlow runs
    of such a step whatever depends on no data: it counts up the optimizer's `iterations`, from
    which schedules are read, and draws new seeds for dropout. So all waits for the batch here.
    """

    def train_step(self, data):
        model: Any = super()
        with tf.control_dependencies(tf.nest.flatten(data, expand_composites=True)):
            return model.train_step(data)


class ReplicaMixin(WholeStepMixin):
    """Makes the result of several replicas that of one.

    Keras averages the replicas' mean losses. Where a loss is a mean over tokens, and the replicas
    have different numbers of tokens, or where the last batch cannot be divided evenly, this is not
    the mean over the global batch. So each replica's loss is multiplied by its share of what the
    mean is taken over.

    Keras also takes a batch of the data to build the model, and then iterates a second time: a
    `tf.data` shuffle gives another order then than on one device. So the model is built from the
    shapes of the data alone.
    """

    loss_weight: Callable[[Any], tf.Tensor]
    element_spec: Any

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        model: Any = super()
        loss = model.compute_loss(x, y, y_pred, sample_weight, training=training)
        weight = tf.cast(self.loss_weight((x, y, sample_weight)), loss.dtype)
        context = tf.distribute.get_replica_context()
        if context is None:
            return loss
        total = context.all_reduce(tf.distribute.ReduceOp.SUM, weight)
        share = tf.math.divide_no_nan(weight * context.num_replicas_in_sync, total)
        return tf.math.multiply_no_nan(loss, share)  # a replica without examples has a mean of NaN

    def _maybe_symbolic_build(self, iterator=None, data_batch=None):
        model: Any = self
        batch = tf.nest.map_structure(
            lambda spec: keras.KerasTensor(spec.shape.as_list(), spec.dtype.name),
            self.element_spec,
        )
        with model.distribute_strategy.scope():
            model._symbolic_build(data_batch=batch)


class MultiWorkerMixin(ReplicaMixin):
    """Makes any model's `fit` run under `MultiWorkerMirroredStrategy`.

    Keras 3 fails there twice (keras issue 20585): it builds the model from a batch of all replicas,
    which cannot be reduced, and it averages scalar logs over an axis that they do not have. So the
    training and test steps return each log with the shape (1,).
    """

    def train_step(self, data):
        model: Any = super()
        return _as_vectors(model.train_step(data))

    def test_step(self, data):
        model: Any = super()
        return _as_vectors(model.test_step(data))


@contextlib.contextmanager
def distributed_model(
    model: keras.Model,
    strategy: tf.distribute.Strategy | None,
    loss_weight: Callable[[Any], tf.Tensor],
    element_spec: Any,
) -> Iterator[None]:
    """Repairs a model's `fit` for the time of a `with`, as far as its strategy needs it.

    The class of the model itself is exchanged, so its own `train_step`, attributes and variables
    stay what they are.

    Args:
        model: keras.Model, compiled.
        strategy: the strategy under whose scope it was built, or None.
        loss_weight: function of a replica's batch (x, y, sample_weight) → how much the mean of its
            loss is taken over.
        element_spec: shapes and dtypes of a batch, as of the data set that is trained on.

    Example:
    >>> import keras
    >>> from polysemy.recipes.distributed_model import distributed_model
    >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    >>> with distributed_model(model, None, len, None):
    ...     type(model).__name__
    'DistributedSequential'
    """
    mixin: type = WholeStepMixin
    if strategy is not None and strategy.num_replicas_in_sync > 1:
        multi_worker = isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy)
        mixin = MultiWorkerMixin if multi_worker else ReplicaMixin
    own: type = type(model)
    model.__class__ = type(f"Distributed{own.__name__}", (mixin, own), {})
    # Past Keras, which would track them.
    model.__dict__.update(loss_weight=loss_weight, element_spec=element_spec)
    try:
        yield
    finally:
        model.__class__ = own
        del model.__dict__["loss_weight"], model.__dict__["element_spec"]


def _as_vectors(logs):
    return {name: tf.reshape(value, (1,)) for name, value in logs.items()}
