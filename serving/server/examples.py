"""The `tf.Example`s of a request, as the serialized strings that models parse."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from ..errors import invalid_argument


def serialized_examples(request_input: Any) -> tf.Tensor:
    """An `Input` -> (examples,) string.

    A context is put before each example, so that the example's own feature wins.

    Raises:
        ServingError: INVALID_ARGUMENT if there are no examples.

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
    if kind is not None:
        chosen = getattr(request_input, kind)
        contents = [example.SerializeToString() for example in chosen.examples]
        if kind == "example_list_with_context":
            context = chosen.context.SerializeToString()
            contents = [context + content for content in contents]
    if not contents:
        raise invalid_argument("Input is empty.")
    return tf.constant(contents, tf.string)
