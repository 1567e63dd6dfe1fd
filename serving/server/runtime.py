"""Settings of TensorFlow that belong to the process."""

from __future__ import annotations

import os

import tensorflow as tf

from .options import ServerOptions


def set_parallelism(options: ServerOptions) -> None:
    """Sets how many threads TensorFlow computes with, before it has computed anything.

    Raises:
        ValueError: if the three flags contradict each other, or TensorFlow has begun already.

    Example:
    >>> set_parallelism(ServerOptions())
    """
    both = options.tensorflow_session_parallelism
    inside, between = (
        options.tensorflow_intra_op_parallelism,
        options.tensorflow_inter_op_parallelism,
    )
    if both and (inside or between):
        raise ValueError(
            "`tensorflow_session_parallelism` must not be given together with "
            "`tensorflow_intra_op_parallelism` or `tensorflow_inter_op_parallelism`. "
            f"Received: {both}, {inside}, {between}"
        )
    settings = (
        (inside or both, tf.config.threading.set_intra_op_parallelism_threads),
        (between or both, tf.config.threading.set_inter_op_parallelism_threads),
    )
    for number, apply in settings:
        if number:
            try:
                apply(number)
            except RuntimeError as error:
                raise ValueError(
                    "The parallelism flags must be given to a process that has not used "
                    f"TensorFlow yet. Received: {number} threads"
                ) from error


def return_freed_memory() -> None:
    """Makes TensorFlow give the memory of an unloaded model back to the system.

    Its allocator for x86 CPUs (oneDNN's) keeps every region that it ever had. The system's own is
    as fast here and does not. Takes effect in a process that has not computed anything yet.
    """
    os.environ.setdefault("TF_ONEDNN_USE_SYSTEM_ALLOCATOR", "true")
