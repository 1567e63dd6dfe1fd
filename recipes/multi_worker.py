"""Keras `fit` on several workers: the repair of what Keras 3 does not do yet."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import keras
import tensorflow as tf


class MultiWorkerMixin:
    """Makes any model's `fit` run under `MultiWorkerMirroredStrategy`; mixed in before the model's own class.

    Keras 3 fails there twice (keras issue 20585): it builds the model from a batch of all replicas, which cannot be reduced, and
    it averages scalar logs over an axis that they do not have. So the model is built from this worker's part of the batch, and the
    training and test steps return each log with the shape (1,).
    """

    def _maybe_symbolic_build(self, iterator=None, data_batch=None):
        model: Any = self
        strategy = model.distribute_strategy
        if iterator is not None:
            for _, _, batches in iterator:
                data_batch = tf.nest.map_structure(
                    lambda part: strategy.experimental_local_results(part)[0], next(batches)
                )
                break
        with strategy.scope():
            model._symbolic_build(data_batch=data_batch)

    def train_step(self, data):
        return _as_vectors(super().train_step(data))  # pyright: ignore[reportAttributeAccessIssue]

    def test_step(self, data):
        return _as_vectors(super().test_step(data))  # pyright: ignore[reportAttributeAccessIssue]


@contextlib.contextmanager
def multi_worker_model(
    model: keras.Model, strategy: tf.distribute.Strategy | None
) -> Iterator[None]:
    """Gives the model `MultiWorkerMixin` for the time of a `with`, where the strategy is multi-worker; else does nothing.

    The class of the model itself is exchanged, so its own `train_step`, attributes and variables stay what they are.
    """
    if not isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy):
        yield
        return
    own = type(model)
    model.__class__ = type(f"MultiWorker{own.__name__}", (MultiWorkerMixin, own), {})
    try:
        yield
    finally:
        model.__class__ = own


def _as_vectors(logs):
    return {name: tf.reshape(value, (1,)) for name, value in logs.items()}
