"""The answer to a Predict, as it is sent."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import numpy as np

from ..protos import PredictResponse
from .tensors import MAX_BYTES, proto_parts
from .wire_format import length_delimited

_FIELDS = PredictResponse.DESCRIPTOR.fields_by_name
_OUTPUTS, _MODEL_SPEC = (_FIELDS[name].number for name in ("outputs", "model_spec"))
_KEY, _VALUE = 1, 2  # of a map's entries


class PredictAnswer:
    """A `PredictResponse` that goes from arrays to bytes in one copy, which large tensors are worth
    and small ones lose nothing by.

    Args:
        model_spec: `ModelSpec` of what has answered.
        outputs: arrays by alias.
        as_content: bool. See `to_proto`.

    Raises:
        ValueError: it is too large for a message.

    Example:
    >>> from polysemy.serving.protos import ModelSpec
    >>> answer = PredictAnswer(ModelSpec(name="m"), {"y": np.array([1.5], "float32")})
    >>> list(PredictResponse.FromString(answer.SerializeToString()).outputs["y"].float_val)
    [1.5]
    """

    def __init__(
        self, model_spec: Any, outputs: Mapping[str, np.ndarray], as_content: bool = False
    ) -> None:
        self.model_spec = model_spec
        self._parts: list[Any] = []
        total = 0
        for alias, array in outputs.items():
            tensor = proto_parts(array, as_content)
            size = sum([memoryview(part).nbytes for part in tensor])
            self._parts += [_entry(alias, size), *tensor]
            total += size
        if total > MAX_BYTES:
            raise ValueError(
                f"`outputs` must fit into a message of {MAX_BYTES} bytes. Received: {total}"
            )
        spec = model_spec.SerializeToString()
        self._parts += [length_delimited(_MODEL_SPEC, len(spec)), spec]

    def SerializeToString(self) -> bytes:
        """The message's bytes, under the name that messages have for it."""
        return b"".join(self._parts)

    @property
    def message(self) -> Any:
        """The message."""
        return PredictResponse.FromString(self.SerializeToString())


@lru_cache(1024)
def _entry(alias: str, size: int) -> bytes:
    """What stands before the `size` bytes of an output."""
    name = alias.encode()
    key = length_delimited(_KEY, len(name)) + name
    value = length_delimited(_VALUE, size)
    return length_delimited(_OUTPUTS, len(key) + len(value) + size) + key + value
