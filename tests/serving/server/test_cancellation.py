"""Cancellations reach the run that they belong to, and TensorFlow's managers are used again."""

import pytest
import tensorflow as tf

from polysemy.serving.server.cancellation import Cancellation


def test_managers_are_used_again_unless_cancelled():
    first, second, third = Cancellation(), Cancellation(), Cancellation()
    with first.running() as manager:
        pass
    first.cancel()  # too late: the manager belongs to nobody, or to another
    with second.running() as again:
        assert again is manager and not again.is_cancelled
        second.cancel()
        assert again.is_cancelled
    with third.running() as other:
        assert other is not manager and not other.is_cancelled


def test_what_was_cancelled_does_not_run():
    cancellation = Cancellation()
    cancellation.cancel()
    with pytest.raises(tf.errors.CancelledError), cancellation.running():
        raise AssertionError("it ran")


def test_a_cancellation_serves_several_runs():
    cancellation = Cancellation()
    for _ in range(2):
        with cancellation.running() as manager:
            assert not manager.is_cancelled
