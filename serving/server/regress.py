"""Regression: what a signature must look like, and one value an example out of its output."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from ..errors import invalid_argument
from .examples import INPUTS, check_one_input
from .signature import REGRESS, Signature
from .tensors import shape_text, type_name

OUTPUTS = "outputs"


def check_regression(signature: Signature, check_method: bool = False) -> None:
    """Raises `ServingError` INVALID_ARGUMENT if a signature is no regression.

    Args:
        signature: the signature.
        check_method: bool. Whether its method_name must say so, too.
    """
    definition = signature.definition
    check_one_input(definition, "regression", REGRESS if check_method else None)
    if len(definition.outputs) != 1:
        raise invalid_argument("Expected one output Tensor.")
    if INPUTS not in definition.inputs:
        raise invalid_argument(f"No regression inputs found in SignatureDef: {definition}")
    if OUTPUTS not in definition.outputs:
        raise invalid_argument(f"No regression outputs found in SignatureDef: {definition}")


def fill_regression(result: Any, outputs: Mapping[str, np.ndarray], count: int) -> None:
    """Writes a `RegressionResult`: a value an example.

    Args:
        result: an empty `RegressionResult`.
        outputs: `outputs` (count,) or (count, 1) float32.
        count: int. Examples.

    Raises:
        ServingError: INVALID_ARGUMENT if the output is not so.

    Example:
    >>> from ..protos import RegressionResponse
    >>> response = RegressionResponse()
    >>> fill_regression(response.result, {"outputs": np.array([[0.5], [2.0]], "float32")}, 2)
    >>> [item.value for item in response.result.regressions]
    [0.5, 2.0]
    """
    array = outputs[OUTPUTS]
    received, shape = tf.as_dtype(array.dtype), array.shape
    if len(shape) not in (1, 2) or (len(shape) == 2 and shape[1] != 1):
        raise invalid_argument(
            "Expected output Tensor shape to be either [batch_size] or [batch_size, 1] "
            f"but got {shape_text(shape)}"
        )
    if shape[0] != count:
        raise invalid_argument(
            f"Input batch size did not match output batch size: {count} vs. {shape[0]}"
        )
    if received != tf.float32:
        raise invalid_argument(f"Expected output Tensor of DT_FLOAT.  Got: {type_name(received)}")
    for value in array.reshape(-1).tolist():
        result.regressions.add().value = value
