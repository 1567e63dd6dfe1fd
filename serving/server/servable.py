"""One loaded version of a model."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import grpc
import tensorflow as tf
from google.protobuf.message import DecodeError

from ..errors import ServingError, invalid_argument
from ..protos import PredictResponse, SavedModel
from ..warmup import read_warmup
from .options import ServerOptions
from .tensors import from_proto, to_proto

DEFAULT_SIGNATURE = "serving_default"
_CODES = {code.value[0]: code for code in grpc.StatusCode}
_SHORT_NAMES = {tf.float32: "float", tf.float64: "double", tf.float16: "half"}


class Servable:
    """A version of a SavedModel that answers TensorFlow Serving's requests.

    Args:
        name: str. The model's name, for answers.
        version: int.
        path: the version's folder.
        batching: BatchingParameters, or None to run each request by itself.
        options: the server's. Default: TensorFlow Serving's defaults.
        metrics: where to count what happens, or None.

    Raises:
        ValueError: if the SavedModel cannot be read or needs an op that is not here.

    Example:
    >>> import tempfile
    >>> class Doubler(tf.Module):
    ...     @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, "x")])
    ...     def double(self, x):
    ...         return {"y": 2 * x}
    >>> module, path = Doubler(), tempfile.mkdtemp()
    >>> tf.saved_model.save(module, path, signatures=module.double)
    >>> servable = Servable("doubler", 1, path)
    >>> servable.run("serving_default", {"x": tf.constant([1.0, 2.0])})["y"].numpy()
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
        self.batching = batching
        self.options = options or ServerOptions()
        self.metrics = metrics
        self.name = name
        self.version = version
        self.path = Path(path)
        meta_graph = _read_meta_graph(self.path)
        # Every signature of the file, the initializer of TF 2 exports included.
        self.signature_defs = dict(meta_graph.signature_def)
        self._loaded = _load(self.path, meta_graph)
        self._functions = dict(self._loaded.signatures)

    def signature_def(self, signature: str) -> Any:
        """The `SignatureDef` under a name, "" for the default one.

        Raises:
            ServingError: FAILED_PRECONDITION if there is none that can be run.
        """
        signature = signature or DEFAULT_SIGNATURE
        if signature not in self._functions or signature not in self.signature_defs:
            raise ServingError(
                grpc.StatusCode.FAILED_PRECONDITION,
                f'Serving signature key "{signature}" not found.',
            )
        return self.signature_defs[signature]

    def predict(self, request: Any) -> Any:
        """Answers a `PredictRequest`, whatever its model spec says.

        Raises:
            ServingError: as TensorFlow Serving's Predict fails.
        """
        name = request.model_spec.signature_name or DEFAULT_SIGNATURE
        signature = self.signature_def(name)
        _check_names(set(request.inputs), signature)
        tensors = {}
        for alias in sorted(signature.inputs):
            given = alias in request.inputs
            proto = request.inputs[alias] if given else signature.defaults[alias]
            try:
                tensors[alias] = from_proto(proto)
            except ValueError as error:
                raise invalid_argument(f"tensor parsing error: {alias}") from error
        wanted = list(request.output_filter) or sorted(signature.outputs)
        _check_outputs(wanted, signature)
        outputs = self.run(name, tensors)
        response = PredictResponse()
        response.model_spec.name = self.name
        response.model_spec.version.value = self.version
        response.model_spec.signature_name = name
        for alias in wanted:
            response.outputs[alias].CopyFrom(to_proto(outputs[alias].numpy()))
        return response

    def run(self, signature: str, tensors: Mapping[str, tf.Tensor]) -> dict[str, Any]:
        """Runs a signature. Raises `ServingError` with the code of the op that fails."""
        inputs = self.signature_defs[signature].inputs
        for index, alias in enumerate(sorted(tensors)):
            expected = tf.as_dtype(inputs[alias].dtype)
            if tensors[alias].dtype != expected:
                raise invalid_argument(
                    f"Expects arg[{index}] to be {_short_name(expected)} "
                    f"but {_short_name(tensors[alias].dtype)} is provided"
                )
        try:
            return self._functions[signature](**tensors)
        except tf.errors.OpError as error:
            code = _CODES.get(error.error_code, grpc.StatusCode.UNKNOWN)
            raise ServingError(code, _op_message(error)) from error
        except TypeError as error:
            # A signature refuses a tensor whose shape contradicts the one that it declares.
            raise invalid_argument(" ".join(str(error).split())) from error

    def unload(self) -> None:
        """Lets the memory go: no request may follow."""
        self._functions.clear()
        del self._loaded

    def warm_up(self) -> int:
        """Runs the version's warm-up requests; returns their number.

        Raises:
            ValueError: if a record cannot be read, or its request fails.
        """
        count = 0
        for log in read_warmup(self.path):
            kind = log.WhichOneof("log_type")
            if kind != "predict_log":
                raise ValueError(
                    "Warm-up records must be predict requests. "
                    f"Received: record {count} of kind {kind}"
                )
            try:
                self.predict(log.predict_log.request)
            except ServingError as error:
                raise ValueError(f"Warm-up record {count} must run. Received: {error}") from error
            count += 1
        return count


def _read_meta_graph(path: Path) -> Any:
    """The MetaGraph for serving, from the file: reloaded objects do not show all of it."""
    try:
        saved_model = SavedModel.FromString((path / "saved_model.pb").read_bytes())
    except FileNotFoundError as error:
        raise ValueError(
            f"A version must have a saved_model.pb. Received: {str(path)!r} without one"
        ) from error
    except (OSError, DecodeError) as error:
        raise ValueError(
            f"A version's saved_model.pb must be readable. Received: {str(path)!r}: {error}"
        ) from error
    for meta_graph in saved_model.meta_graphs:
        if set(meta_graph.meta_info_def.tags) == {"serve"}:
            return meta_graph
    raise ValueError(
        f"A SavedModel must have a graph with the tag 'serve'. Received: {str(path)!r}"
    )


def _load(path: Path, meta_graph: Any) -> Any:
    ops = {op.name for op in meta_graph.meta_info_def.stripped_op_list.op}
    if not all(hasattr(tf.raw_ops, op) for op in ops):
        # An op that is not TensorFlow's own. Importing tensorflow_text registers its ops; it
        # takes seconds, which models without them need not wait for.
        try:
            import tensorflow_text  # noqa: F401
        except ImportError:
            pass  # the op may come from elsewhere; if it does not, loading names it
    try:
        return tf.saved_model.load(str(path), tags=["serve"])
    # What TensorFlow raises for a damaged file depends on the byte that is wrong.
    except (
        OSError,
        ValueError,
        TypeError,
        LookupError,
        AttributeError,
        RuntimeError,
        tf.errors.OpError,
    ) as error:
        text = " ".join(str(error).split())[:400]
        if "Op type not registered" in text:
            op = text.split("'")[1]
            raise ValueError(
                f"A SavedModel's ops must be registered here. Received: {str(path)!r} with the "
                f"custom op {op!r}; import the package that defines it before serving"
            ) from error
        raise ValueError(
            f"A version must be a readable SavedModel. Received: {str(path)!r}: {text}"
        ) from error


def _check_names(sent: set[str], signature: Any) -> None:
    known = set(signature.inputs)
    required = known - set(signature.defaults)
    extra, missing = sent - known, required - sent
    if not extra and not missing:
        return
    if len(sent) == len(known):
        raise invalid_argument(
            f"input tensor alias not found in signature: {min(extra)}. "
            f"Inputs expected to be in the set {_braces(known)}."
        )
    raise invalid_argument(
        f"input size does not match signature: {len(sent)}!={len(known)} "
        f"len({_braces(sent)}) != len({_braces(known)}). "
        f"Sent extra: {_braces(extra)}. Missing but required: {_braces(missing)}."
    )


def _check_outputs(wanted: list[str], signature: Any) -> None:
    seen = set()
    for alias in wanted:
        if alias not in signature.outputs:
            raise invalid_argument(
                f"output tensor alias not found in signature: {alias} "
                f"Outputs expected to be in the set {_braces(signature.outputs)}."
            )
        if alias in seen:
            raise invalid_argument(f"duplicate output tensor alias: {alias}")
        seen.add(alias)


def _braces(names: Any) -> str:
    return "{" + ",".join(sorted(names)) + "}"


def _short_name(dtype: tf.DType) -> str:
    """A dtype as TensorFlow's C++ side calls it: `float`, not `float32`."""
    return _SHORT_NAMES.get(dtype, str(dtype.name))


def _op_message(error: tf.errors.OpError) -> str:
    """The op's own words: without the exporter's stack trace and this process's function name."""
    text = error.message
    if "<stack traces unavailable>" in text:
        text = text.rsplit("<stack traces unavailable>", 1)[1]
    elif text.startswith("Graph execution error:"):
        text = text.rsplit("\n\n", 1)[-1]
    return text.split(" [Op:")[0].strip()
