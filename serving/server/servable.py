"""One loaded version of a model."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import tensorflow as tf

from ..errors import ServingError, invalid_argument
from ..protos import (
    ClassificationResponse,
    ModelSpec,
    MultiInferenceResponse,
    RegressionResponse,
)
from .batched_runner import BatchedRunner
from .batching import Batching
from .cancellation import Cancellation
from .classify import check_classification, classification_outputs, fill_classification
from .examples import serialized_examples
from .multi_inference import check_tasks
from .options import ServerOptions
from .predict_answer import PredictAnswer
from .regress import OUTPUTS, check_regression, fill_regression
from .replay import replay
from .run_errors import run_error
from .runners import Runners
from .saved_model import load_saved_model, read_meta_graph
from .signature import CLASSIFY, PREDICT, REGRESS, Signature, is_dense
from .tensors import Inputs, as_array

DEFAULT_SIGNATURE = "serving_default"


class Servable:
    """A version of a SavedModel that answers TensorFlow Serving's requests.

    Every call takes a `Cancellation`: a request that is cancelled, or whose deadline has passed, is
    not run, and one that is running stops, unless it runs together with others.

    Args:
        name: str. The model's name, for answers.
        version: int.
        path: the version's folder.
        batching: `BatchingParameters`, or None to run each request by itself.
        options: the server's. Default: TensorFlow Serving's defaults.
        metrics: where runs are counted, or None.

    Raises:
        ValueError: if the SavedModel cannot be read or needs an op that is not here, or the
            batching parameters are wrong.

    Example:
    >>> import tempfile
    >>> class Doubler(tf.Module):
    ...     @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, "x")])
    ...     def double(self, x):
    ...         return {"y": 2 * x}
    >>> module, path = Doubler(), tempfile.mkdtemp()
    >>> tf.saved_model.save(module, path, signatures=module.double)
    >>> servable = Servable("doubler", 1, path)
    >>> servable.run("serving_default", {"x": tf.constant([1.0, 2.0])})["y"]
    array([2., 4.], dtype=float32)
    """

    def __init__(
        self,
        name: str,
        version: int,
        path: str | os.PathLike,
        batching: Any = None,
        options: ServerOptions | None = None,
        metrics: Any = None,
    ) -> None:
        self.name = name
        self.version = version
        self.path = Path(path)
        self.options = options or ServerOptions()
        self.metrics = metrics
        self.batching = Batching.from_proto(batching) if batching is not None else None
        meta_graph = read_meta_graph(self.path, self.options.saved_model_tags.split(","))
        # Every signature of the file, the initializer of TF 2 exports included.
        self.signature_defs = dict(meta_graph.signature_def)
        loaded, self._problems = load_saved_model(self.path, meta_graph)
        self._loaded: Any = loaded
        watched = metrics is not None and bool(self.options.monitoring_config_file)
        self._runners = Runners(
            self._loaded.signatures, self.batching, self._observe if watched else None
        )
        self._thread_pool_name = self.batching.thread_pool_name if self.batching else ""
        self._signatures: dict[str, Signature] = {}
        for key, definition in self.signature_defs.items():
            if key not in self._runners.functions:
                continue
            if sparse := [name for name, i in definition.inputs.items() if not is_dense(i)]:
                self._problems[key] = f'its input "{min(sparse)}" is no dense tensor'
            else:
                self._signatures[key] = Signature(key, definition)

    def signature_def(self, signature: str) -> Any:
        """The `SignatureDef` under a name, "" for the default one.

        Raises:
            ServingError: FAILED_PRECONDITION if there is none, INVALID_ARGUMENT if it cannot be
                run.
        """
        return self._signature(signature).definition

    def predict(self, request: Any, cancellation: Cancellation | None = None) -> PredictAnswer:
        """Answers a `PredictRequest`, whatever model its model spec names.

        Raises:
            ServingError: as TensorFlow Serving's Predict fails.
        """
        signature, wanted, inputs = self._read(request)
        outputs = self._run(signature, inputs, wanted, "Predict", cancellation)
        return self._predict_answer(signature, wanted, outputs)

    def prepare(self, request: Any) -> None:
        """Makes what a `PredictRequest` needs to be run, which takes a while."""
        signature = self._signature(request.model_spec.signature_name)
        self._runner(signature, signature.wanted(request.output_filter))

    def predict_together(
        self, request: Any, cancellation: Cancellation, done: Callable[[Any, Any], None]
    ) -> bool:
        """Like `predict`, for who does not want to wait: `done` gets the answer, or None and the
        error, in another thread. False if this request is not one to be run with others, or
        nothing is prepared for its kind."""
        signature, wanted, inputs = self._read(request)
        runner = self._runners.made(signature, wanted)
        if not isinstance(runner, BatchedRunner):
            return False
        signature.check_dtypes(inputs)
        if not runner.shares(inputs):
            return False
        cancellation.check()
        start = time.perf_counter()

        def finish(outputs: list | None, error: Exception | None) -> None:
            if self.metrics is not None and not isinstance(error, ServingError):  # not run
                self.metrics.runtime(self.name, "Predict", time.perf_counter() - start)
            if isinstance(error, tf.errors.OpError):
                error = run_error(error, cancellation, str(self.path))
            if outputs is None or cancellation.cancelled:
                done(None, error)
                return
            try:
                found = dict(zip(wanted, outputs, strict=True))
                done(self._predict_answer(signature, wanted, found), None)
            except Exception as failure:
                done(None, failure)

        runner.submit(inputs, finish, cancellation)
        return True

    def classify(self, request: Any, cancellation: Cancellation | None = None) -> Any:
        """Answers a `ClassificationRequest`.

        Raises:
            ServingError: as TensorFlow Serving's Classify fails.
        """
        signature = self._example_signature(request)
        check_classification(signature, self.options.enable_signature_method_name_check)
        examples = serialized_examples(request.input, self.options.max_tensor_bytes)
        wanted = classification_outputs(signature)
        outputs = self._run(signature, [examples], wanted, "Classify", cancellation)
        response = ClassificationResponse(model_spec=self._model_spec(signature))
        fill_classification(response.result, outputs, len(examples))
        return response

    def regress(self, request: Any, cancellation: Cancellation | None = None) -> Any:
        """Answers a `RegressionRequest`.

        Raises:
            ServingError: as TensorFlow Serving's Regress fails.
        """
        signature = self._example_signature(request)
        check_regression(signature, self.options.enable_signature_method_name_check)
        examples = serialized_examples(request.input, self.options.max_tensor_bytes)
        outputs = self._run(signature, [examples], (OUTPUTS,), "Regress", cancellation)
        response = RegressionResponse(model_spec=self._model_spec(signature))
        fill_regression(response.result, outputs, len(examples))
        return response

    def multi_inference(self, request: Any, cancellation: Cancellation | None = None) -> Any:
        """Answers a `MultiInferenceRequest` of this model: all its tasks in one run.

        Raises:
            ServingError: as TensorFlow Serving's MultiInference fails.
        """
        if not request.tasks:
            raise invalid_argument("ModelSpec has no name specified.")
        signatures = check_tasks(request, self._signatures, DEFAULT_SIGNATURE)
        examples = serialized_examples(request.input, self.options.max_tensor_bytes)
        for signature in signatures:
            signature.check_dtypes([examples])
        values = iter(
            self._call(
                self._runners.together(signatures), [examples], "MultiInference", cancellation
            )
        )
        response = MultiInferenceResponse()
        for task, signature in zip(request.tasks, signatures, strict=True):
            outputs = {name: next(values) for name in signature.outputs}
            result = response.results.add(model_spec=self._model_spec(signature))
            if task.method_name == CLASSIFY:
                fill_classification(result.classification_result, outputs, len(examples))
            else:
                fill_regression(result.regression_result, outputs, len(examples))
        return response

    def run(
        self, signature: str, tensors: Mapping[str, Any], cancellation: Cancellation | None = None
    ) -> dict[str, np.ndarray]:
        """Runs a signature on arrays or tensors by name; returns all its outputs.

        Raises:
            ServingError: INVALID_ARGUMENT for wrong names and dtypes; the code of the op that
                fails.
        """
        found = self._signature(signature)
        inputs = found.ordered(tensors)
        return self._run(found, inputs, found.outputs, "Predict", cancellation)

    def warm_up(self) -> int:
        """Runs the version's warm-up requests; returns the number of records.

        Raises:
            ValueError: if a record cannot be read, or its request fails.
        """
        start = time.perf_counter()
        count, status = 0, "UNKNOWN"
        try:
            count = replay(self, max(1, self.options.num_request_iterations_for_warmup))
            status = "OK"
        finally:
            if self.metrics is not None:
                seconds = time.perf_counter() - start
                self.metrics.warmup(self.path, seconds, count, status)
        return count

    def unload(self) -> None:
        """Lets go of the model. No request may be running."""
        self._runners.clear()
        self._loaded = None

    def _signature(self, name: str) -> Signature:
        name = name or DEFAULT_SIGNATURE
        found = self._signatures.get(name)
        if found is None:
            if problem := self._problems.get(name):
                raise invalid_argument(f'Serving signature key "{name}" cannot be run: {problem}')
            raise ServingError(
                grpc.StatusCode.FAILED_PRECONDITION,
                f'Serving signature key "{name}" not found.',
            )
        return found

    def _example_signature(self, request: Any) -> Signature:
        name = request.model_spec.signature_name or DEFAULT_SIGNATURE
        if name not in self._signatures:
            raise invalid_argument(f"No signature was found with the name: {name}")
        return self._signatures[name]

    def _read(self, request: Any) -> tuple[Signature, tuple[str, ...], list[np.ndarray]]:
        signature = self._signature(request.model_spec.signature_name)
        method = signature.definition.method_name
        if self.options.enable_signature_method_name_check and method not in _METHODS:
            raise ServingError(
                grpc.StatusCode.INTERNAL,
                f"Expected prediction signature method_name to be one of {{{', '.join(_METHODS)}}}."
                f" Was: {method}",
            )
        tensors = signature.read(request.inputs, self.options.max_tensor_bytes)
        return signature, signature.wanted(request.output_filter), tensors

    def _predict_answer(
        self, signature: Signature, wanted: tuple[str, ...], outputs: Mapping[str, np.ndarray]
    ) -> PredictAnswer:
        return PredictAnswer(
            self._model_spec(signature),
            {alias: outputs[alias] for alias in wanted},
            self.options.enable_serialization_as_tensor_content,
        )

    def _runner(self, signature: Signature, wanted: tuple[str, ...]) -> tuple[Any, tuple]:
        try:
            return self._runners.of(signature, wanted)
        except (TypeError, ValueError) as error:
            # What TensorFlow says of a graph that it cannot call again is of no use to a client.
            message = f'Serving signature key "{signature.name}" cannot be run.'
            raise ServingError(grpc.StatusCode.INTERNAL, message) from error

    def _run(
        self,
        signature: Signature,
        inputs: Inputs,
        wanted: tuple[str, ...],
        api: str,
        cancellation: Cancellation | None,
    ) -> dict[str, np.ndarray]:
        signature.check_dtypes(inputs)
        runner, names = self._runner(signature, wanted)
        return dict(zip(names, self._call(runner, inputs, api, cancellation), strict=True))

    def _call(
        self, runner: Any, inputs: Inputs, api: str, cancellation: Cancellation | None
    ) -> list[np.ndarray]:
        if cancellation is not None:
            cancellation.check()
        start = time.perf_counter()
        try:
            return [as_array(output) for output in runner(inputs, cancellation)]
        except tf.errors.OpError as error:
            raise run_error(error, cancellation, str(self.path)) from error
        finally:
            if self.metrics is not None:
                self.metrics.runtime(self.name, api, time.perf_counter() - start)

    def _observe(self, batches: list[tuple[int, int]], waited: float) -> None:
        for given, processed in batches:
            self.metrics.batch(self.name, given, processed)
        self.metrics.queued(waited, self._thread_pool_name)

    def _model_spec(self, signature: Signature) -> Any:
        return ModelSpec(
            name=self.name, version={"value": self.version}, signature_name=signature.name
        )


_METHODS = (PREDICT, CLASSIFY, REGRESS)
