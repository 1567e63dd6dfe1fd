"""The functions that a version runs: one for each set of outputs that clients ask for."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import tensorflow as tf

from .batched_runner import BatchedRunner, Observer
from .batching import Batching
from .runner import Runner
from .signature import Signature

# Each set of outputs costs memory, and clients choose: beyond so many, all outputs are computed.
MAX_FUNCTIONS = 32
_queues = itertools.count()


class Runners:
    """Makes the function for a signature and some of its outputs, when it is first asked for.

    Args:
        functions: the callable signatures of a loaded SavedModel, by name.
        batching: how to batch, None: not at all.
        observer: what to tell of batches, or None.

    Example:
    >>> x = tf.TensorSpec([None], tf.float32, "x")
    >>> double = tf.function(lambda x: {"y": x + x}).get_concrete_function(x)
    >>> Runners({"double": double}).functions["double"](x=tf.constant([1.0]))["y"].numpy()
    array([2.], dtype=float32)
    """

    def __init__(
        self,
        functions: Mapping[str, Any],
        batching: Batching | None = None,
        observer: Observer | None = None,
    ) -> None:
        self.functions = dict(functions)
        self._batching = batching
        self._observer = observer
        self._made: dict[Any, Any] = {}
        self._lock = threading.Lock()

    def of(
        self, signature: Signature, outputs: tuple[str, ...]
    ) -> tuple[Callable[..., list], tuple[str, ...]]:
        """A function of the signature's inputs in order, and the names of what it returns.

        Raises:
            ServingError: INVALID_ARGUMENT for an output that no answer can hold.
        """
        key = (signature.name, outputs)
        found = self._made.get(key)
        if found is None:
            signature.check_outputs(outputs)
            if len(self._made) >= MAX_FUNCTIONS and outputs != signature.dense_outputs:
                return self.of(signature, signature.dense_outputs)
            with self._lock:
                found = self._made.get(key) or self._make(signature, outputs)
                self._made[key] = found
        return found, outputs

    def made(self, signature: Signature, outputs: tuple[str, ...]) -> Callable[..., list] | None:
        """The function that `of` returns, unless it has to be made first, which takes a while."""
        return self._made.get((signature.name, outputs))

    def together(self, signatures: Sequence[Signature]) -> Callable[..., list]:
        """A function of one input that runs several signatures of one input each: all their
        outputs, one signature's after the other's."""
        key = tuple(signature.name for signature in signatures)
        found = self._made.get(key)
        if found is None:
            for signature in signatures:
                signature.check_outputs(signature.outputs)
            if len(self._made) >= MAX_FUNCTIONS:
                return self._one_by_one(signatures)
            with self._lock:
                found = self._made.get(key) or self._join(signatures)
                self._made[key] = found
        return found

    def clear(self) -> None:
        """Lets go of every function, and with them of what they hold."""
        with self._lock:
            self._made.clear()
            self.functions.clear()

    def _make(self, signature: Signature, outputs: tuple[str, ...]) -> Any:
        function = self.functions[signature.name]

        def body(*tensors: tf.Tensor) -> list[tf.Tensor]:
            results = function(**dict(zip(signature.inputs, tensors, strict=True)))
            return [results[name] for name in outputs]

        declared = [signature.definition.inputs[alias].tensor_shape for alias in signature.inputs]
        specs = [
            tf.TensorSpec(tf.TensorShape(shape), dtype, f"input_{i}")
            for i, (shape, dtype) in enumerate(zip(declared, signature.dtypes, strict=True))
        ]
        if self._batching is None or not specs:
            # The declared shape is no limit: what the graph cannot compute fails in its op.
            return Runner(body, [tf.TensorSpec(None, spec.dtype, spec.name) for spec in specs])
        return BatchedRunner(body, specs, self._batching, f"queue_{next(_queues)}", self._observer)

    def _join(self, signatures: Sequence[Signature]) -> Runner:
        functions = [(self.functions[item.name], item) for item in signatures]

        def body(tensor: tf.Tensor) -> list[tf.Tensor]:
            return [
                results[name]
                for function, item in functions
                for results in [function(**{item.inputs[0]: tensor})]
                for name in item.outputs
            ]

        return Runner(body, [tf.TensorSpec(None, signatures[0].dtypes[0], "input")])

    def _one_by_one(self, signatures: Sequence[Signature]) -> Callable[..., list]:
        runners = [self.of(item, item.outputs)[0] for item in signatures]

        def run(inputs: list[tf.Tensor], cancellation: Any = None) -> list:
            return [result for runner in runners for result in runner(inputs, cancellation)]

        return run
