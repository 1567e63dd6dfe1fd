"""The `tf.Example`s of a request, as models parse them, and the signatures that take them."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from ..errors import invalid_argument
from .tensors import MAX_BYTES

INPUTS = "inputs"  # the one input of Classify and Regress


def serialized_examples(request_input: Any, max_bytes: int = MAX_BYTES) -> tf.Tensor:
    """An `Input` -> (examples,) string.

    A context is put before each example, so that the example's own feature wins.

    Args:
        request_input: the `Input`.
        max_bytes: int. Largest size of the tensor, in which the context is as often as there are
            examples.

    Raises:
        ServingError: INVALID_ARGUMENT if there are no examples, or they are too large.

    Example:
    >>> from ..protos import ClassificationRequest
    >>> request = ClassificationRequest()
    >>> example = request.input.example_list.examples.add()
    >>> example.features.feature["x"].int64_list.value.append(1)
    >>> serialized_examples(request.input).shape
    TensorShape([1])
    """
    kind = request_input.WhichOneof("kind")
    contents: list[bytes] = []
    context = b""
    if kind is not None:
        chosen = getattr(request_input, kind)
        contents = [example.SerializeToString() for example in chosen.examples]
        if kind == "example_list_with_context":
            context = chosen.context.SerializeToString()
    size = sum(map(len, contents)) + len(context) * len(contents)
    if size > max_bytes:
        raise invalid_argument(
            f"Input must have at most max_tensor_bytes={max_bytes}. Received: {size} bytes"
        )
    if context:
        contents = [context + content for content in contents]
    if not contents:
        raise invalid_argument("Input is empty.")
    return tf.constant(contents, tf.string)


def check_one_input(definition: Any, kind: str, method: str | None) -> None:
    """Checks the first that Classify and Regress want of a signature.

    Args:
        definition: a `SignatureDef`.
        kind: str. `classification` or `regression`.
        method: str. What its method_name must be, or None.

    Raises:
        ServingError: INVALID_ARGUMENT if its method_name is another, or it has not one input.
    """
    if method is not None and definition.method_name != method:
        raise invalid_argument(
            f"Expected {kind} signature method_name to be {method}. Was: {definition.method_name}"
        )
    if len(definition.inputs) != 1:
        raise invalid_argument("Expected one input Tensor.")
