"""What one signature of a SavedModel takes and gives, and what a request may say of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from ..errors import invalid_argument
from .tensors import MAX_BYTES, Inputs, from_proto

PREDICT, CLASSIFY, REGRESS = (
    f"tensorflow/serving/{method}" for method in ("predict", "classify", "regress")
)
_SHORT_NAMES = {tf.float32: "float", tf.float64: "double", tf.float16: "half"}


class Signature:
    """One signature, prepared so that checking a request costs little.

    Args:
        name: str.
        definition: the `SignatureDef`.

    Example:
    >>> from tensorflow.core.protobuf.meta_graph_pb2 import SignatureDef, TensorInfo
    >>> x, y = (TensorInfo(name=f"{name}:0", dtype=1) for name in "xy")
    >>> definition = SignatureDef(inputs={"x": x}, outputs={"y": y})
    >>> signature = Signature("serving_default", definition)
    >>> signature.inputs, signature.wanted([])
    (['x'], ('y',))
    """

    def __init__(self, name: str, definition: Any) -> None:
        self.name = name
        self.definition = definition
        self.inputs = sorted(definition.inputs)
        self.dtypes = [tf.as_dtype(definition.inputs[alias].dtype) for alias in self.inputs]
        self.outputs = tuple(sorted(definition.outputs))
        # Those that a message can hold.
        self.dense_outputs = tuple(a for a in self.outputs if is_dense(definition.outputs[a]))
        self.defaults = definition.defaults
        self._known = set(self.inputs)

    def read(self, protos: Mapping[str, Any], max_bytes: int = MAX_BYTES) -> list[np.ndarray]:
        """The arrays of a request in the order of `inputs`, defaults included.

        Raises:
            ServingError: INVALID_ARGUMENT for wrong names, values or dtypes.
        """
        self._check_names(protos)
        arrays = []
        for alias in self.inputs:
            proto = protos[alias] if alias in protos else self.defaults[alias]
            try:
                arrays.append(from_proto(proto, max_bytes))
            except ValueError as error:
                raise invalid_argument(f"tensor parsing error: {alias}") from error
        return arrays

    def ordered(self, tensors: Mapping[str, Any]) -> Inputs:
        """Arrays or tensors by name in the order of `inputs`, defaults included."""
        self._check_names(tensors)
        return [
            tf.convert_to_tensor(tensors[alias])
            if alias in tensors
            else from_proto(self.defaults[alias])
            for alias in self.inputs
        ]

    def check_dtypes(self, inputs: Inputs) -> None:
        """Raises `ServingError` if one is not of its input's dtype: nothing is cast."""
        for index, (given, expected) in enumerate(zip(inputs, self.dtypes, strict=True)):
            dtype = tf.as_dtype(given.dtype)
            if dtype != expected:
                raise invalid_argument(
                    f"Expects arg[{index}] to be {_short_name(expected)} "
                    f"but {_short_name(dtype)} is provided"
                )

    def wanted(self, output_filter: Iterable[str]) -> tuple[str, ...]:
        """The outputs that a filter asks for, sorted; all for an empty one.

        Raises:
            ServingError: INVALID_ARGUMENT for one that is unknown or named twice.
        """
        seen: set[str] = set()
        for alias in output_filter:
            if alias not in self.definition.outputs:
                raise invalid_argument(
                    f"output tensor alias not found in signature: {alias} "
                    f"Outputs expected to be in the set {_braces(self.outputs)}."
                )
            if alias in seen:
                raise invalid_argument(f"duplicate output tensor alias: {alias}")
            seen.add(alias)
        return tuple(sorted(seen)) if seen else self.outputs

    def check_outputs(self, outputs: Iterable[str]) -> None:
        """Raises `ServingError` if an answer cannot hold one of these outputs."""
        for alias in outputs:
            if alias not in self.dense_outputs:
                raise invalid_argument(
                    f'The output "{alias}" of the signature "{self.name}" is no dense tensor '
                    "and cannot be sent."
                )

    def _check_names(self, sent: Mapping[str, Any]) -> None:
        known = self._known
        if len(sent) == len(known) and all(alias in sent for alias in known):
            return
        names = set(sent)
        extra, missing = names - known, known - set(self.defaults) - names
        if not extra and not missing:
            return
        if len(names) == len(known):
            raise invalid_argument(
                f"input tensor alias not found in signature: {min(extra)}. "
                f"Inputs expected to be in the set {_braces(known)}."
            )
        raise invalid_argument(
            f"input size does not match signature: {len(names)}!={len(known)} "
            f"len({_braces(names)}) != len({_braces(known)}). "
            f"Sent extra: {_braces(extra)}. Missing but required: {_braces(missing)}."
        )


def is_dense(info: Any) -> bool:
    """Whether a `TensorInfo` is of one tensor: no ragged or sparse one, and no operation."""
    return info.WhichOneof("encoding") == "name" and ":" in info.name and info.dtype != 0


def _braces(names: Iterable[str]) -> str:
    return "{" + ",".join(sorted(names)) + "}"


def _short_name(dtype: tf.DType) -> str:
    """A dtype as TensorFlow's C++ side calls it: `float`, not `float32`."""
    return _SHORT_NAMES.get(dtype, str(dtype.name))
