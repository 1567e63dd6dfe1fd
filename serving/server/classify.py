"""Classification: what a signature must look like, and scores by label out of its outputs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from ..errors import invalid_argument
from .examples import INPUTS, check_one_input
from .signature import CLASSIFY, Signature
from .tensors import shape_text, type_name

CLASSES, SCORES = "classes", "scores"


def check_classification(signature: Signature, check_method: bool = False) -> None:
    """Raises `ServingError` INVALID_ARGUMENT if a signature cannot classify.

    Args:
        signature: the signature.
        check_method: bool. Whether its method_name must say so, too.
    """
    definition = signature.definition
    check_one_input(definition, "classification", CLASSIFY if check_method else None)
    if len(definition.outputs) not in (1, 2):
        raise invalid_argument(
            f"Expected one or two output Tensors, found {len(definition.outputs)}"
        )
    if INPUTS not in definition.inputs:
        raise invalid_argument(f"No classification inputs found in SignatureDef: {definition}")
    if CLASSES not in definition.outputs and SCORES not in definition.outputs:
        raise invalid_argument(
            "Expected classification signature outputs to contain at least one of "
            f'"{CLASSES}" or "{SCORES}". Signature was: {definition}'
        )


def classification_outputs(signature: Signature) -> tuple[str, ...]:
    """The outputs that are needed."""
    return tuple(name for name in (CLASSES, SCORES) if name in signature.definition.outputs)


def fill_classification(result: Any, outputs: Mapping[str, np.ndarray], count: int) -> None:
    """Writes a `ClassificationResult`: a list of labels and scores an example.

    Args:
        result: an empty `ClassificationResult`.
        outputs: `classes` (count, k) string, `scores` (count, k) float32, or one of them.
        count: int. Examples.

    Raises:
        ServingError: INVALID_ARGUMENT if the outputs are not so.

    Example:
    >>> from ..protos import ClassificationResponse
    >>> response = ClassificationResponse()
    >>> fill_classification(response.result, {"scores": np.array([[0.25, 0.75]], "float32")}, 1)
    >>> [item.score for item in response.result.classifications[0].classes]
    [0.25, 0.75]
    """
    for name, dtype in ((CLASSES, tf.string), (SCORES, tf.float32)):
        if name not in outputs:
            continue
        received, shape = tf.as_dtype(outputs[name].dtype), outputs[name].shape
        if len(shape) != 2:
            raise invalid_argument(
                f"Expected Tensor shape: [batch_size num_classes] but got {shape_text(shape)}"
            )
        if received != dtype:
            raise invalid_argument(
                f"Expected {name} Tensor of {type_name(dtype)}. Got: {type_name(received)}"
            )
        if shape[0] != count:
            raise invalid_argument(f"Expected {name} output batch size of {count}. Got: {shape[0]}")
    widths = [outputs[name].shape[1] for name in (CLASSES, SCORES) if name in outputs]
    if widths[0] != widths[-1]:
        raise invalid_argument(
            f"Tensors class and score should match in dim_size(1). Got {widths[0]} vs. {widths[-1]}"
        )
    labels = outputs[CLASSES].tolist() if CLASSES in outputs else None
    scores = outputs[SCORES].tolist() if SCORES in outputs else None
    for row in range(count):
        classes = result.classifications.add().classes
        for column in range(widths[0]):
            item = classes.add()
            if labels is not None:
                item.label = _text(labels[row][column])
            if scores is not None:
                item.score = scores[row][column]


def _text(label: bytes) -> str:
    try:
        return label.decode()
    except UnicodeDecodeError as error:
        # The message's field is text, and Python refuses to put other bytes there.
        raise invalid_argument("Expected classes Tensor of UTF-8 text. Got: other bytes") from error
