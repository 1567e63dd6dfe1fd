"""What a failed run says to a client."""

from __future__ import annotations

import re

import grpc
import tensorflow as tf

from ..errors import ServingError
from .cancellation import Cancellation

_CODES = {code.value[0]: code for code in grpc.StatusCode}
# Names of functions of this process, which mean nothing elsewhere.
_FUNCTION = re.compile(r"\{\{function_node [^}]*\}\} ?")
# The batcher around a model is not part of it.
_BATCHER = re.compile(r"\s+\[\[(\{\{node BatchFunction\}\}|BatchFunction|PartitionedCall)\]\]")
_UNLIKE_SHAPES = re.compile(r"(Dimensions of inputs|Ranks of all input tensors) should match")


def run_error(
    error: tf.errors.OpError, cancellation: Cancellation | None = None, hidden: str = ""
) -> ServingError:
    """The answer for an op that failed: its code, and its own words.

    Args:
        error: what TensorFlow raised.
        cancellation: the request's, which says why a run was stopped.
        hidden: str. The folder of the version, which no client shall see.

    Example:
    >>> error = tf.errors.InvalidArgumentError(None, None, "{{function_node f}} bad /m/1/x [Op:f]")
    >>> print(run_error(error, hidden="/m/1"))
    INVALID_ARGUMENT: bad x
    """
    if isinstance(error, tf.errors.CancelledError):
        return (cancellation or Cancellation()).error()
    code = _CODES.get(error.error_code, grpc.StatusCode.UNKNOWN)
    text = error.message
    if "<stack traces unavailable>" in text:
        text = text.rsplit("<stack traces unavailable>", 1)[1]
    elif text.startswith("Graph execution error:"):
        text = text.rsplit("\n\n", 1)[-1]
    text = _BATCHER.sub("", _FUNCTION.sub("", text).split(" [Op:")[0]).strip()
    if hidden:
        text = text.replace(f"{hidden}/", "").replace(hidden, "")
    if _UNLIKE_SHAPES.match(text):
        # Only the batcher's own complaint starts so: an op's starts with the op's name.
        return unlike_shapes()
    return ServingError(code, text)


def unlike_shapes() -> ServingError:
    """What requests of one batch are told whose rows have unlike shapes.

    Example:
    >>> unlike_shapes().code.name
    'FAILED_PRECONDITION'
    """
    return ServingError(
        grpc.StatusCode.FAILED_PRECONDITION,
        "Tensors with the same name from different tasks have different shapes and padding is "
        "turned off. Set pad_variable_length_inputs to true, or ensure that all tensors with the "
        "same name have equal dimensions starting with the first dim.",
    )
