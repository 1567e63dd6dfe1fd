"""A small client of TensorFlow Serving's gRPC protocol."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import grpc
import numpy as np
import tensorflow as tf

from .errors import ServingError
from .protos import (
    GetModelMetadataRequest,
    GetModelMetadataResponse,
    GetModelStatusRequest,
    GetModelStatusResponse,
    ModelSpec,
    PredictRequest,
    PredictResponse,
    SignatureDefMap,
)

_MAX_MESSAGE_BYTES = 2**31 - 1


class Client:
    """Asks a model server: Polysemy's or TensorFlow Serving's.

    Args:
        address: str. "host:port" of gRPC.
        timeout: float. Seconds for a call unless it says otherwise.

    Raises:
        ServingError: by every method, with the server's code and text in one line; UNAVAILABLE
            where nobody listens, DEADLINE_EXCEEDED after the timeout.

    Example:
    >>> Client("localhost:8500").address
    'localhost:8500'
    """

    def __init__(self, address: str, timeout: float = 60.0) -> None:
        self.address = address
        self.timeout = timeout
        self._channel = grpc.insecure_channel(
            address,
            options=[
                ("grpc.max_receive_message_length", _MAX_MESSAGE_BYTES),
                ("grpc.max_send_message_length", -1),
            ],
        )
        self._predict = self._method("PredictionService/Predict", PredictRequest, PredictResponse)
        self._get_metadata = self._method(
            "PredictionService/GetModelMetadata", GetModelMetadataRequest, GetModelMetadataResponse
        )
        self._get_status = self._method(
            "ModelService/GetModelStatus", GetModelStatusRequest, GetModelStatusResponse
        )

    def predict(
        self,
        model: str,
        inputs: Mapping[str, Any] | None = None,
        signature: str | None = None,
        version: int | None = None,
        timeout: float | None = None,
        **named_inputs: Any,
    ) -> dict[str, np.ndarray]:
        """Runs a signature on one batch.

        Args:
            model: str. The model's name.
            inputs: dict of input name to value; for names that are also arguments here.
            signature: str. Default: "serving_default".
            version: int. Default: the newest.
            timeout: float. Seconds.
            **named_inputs: inputs by name: arrays, or nested lists of strings, ints (sent as
                int32), floats (as float32) or bools.

        Returns:
            dict of output name to array; strings are bytes.
        """
        request = PredictRequest()
        request.model_spec.CopyFrom(_spec(model, version))
        request.model_spec.signature_name = signature or ""
        for name, value in {**(inputs or {}), **named_inputs}.items():
            request.inputs[name].CopyFrom(tf.make_tensor_proto(value))
        response = self._call(self._predict, request, timeout)
        return {name: tf.make_ndarray(proto) for name, proto in response.outputs.items()}

    def metadata(
        self, model: str, version: int | None = None, timeout: float | None = None
    ) -> dict[str, dict[str, dict[str, tf.TensorSpec]]]:
        """The signatures: {signature: {"inputs": {name: spec}, "outputs": {name: spec}}}."""
        request = GetModelMetadataRequest(metadata_field=["signature_def"])
        request.model_spec.CopyFrom(_spec(model, version))
        response = self._call(self._get_metadata, request, timeout)
        signatures = SignatureDefMap()
        response.metadata["signature_def"].Unpack(signatures)
        return {
            name: {"inputs": _specs(definition.inputs), "outputs": _specs(definition.outputs)}
            for name, definition in signatures.signature_def.items()
        }

    def status(
        self, model: str, version: int | None = None, timeout: float | None = None
    ) -> dict[int, str]:
        """The state of each version ("AVAILABLE", "LOADING", ...), newest first."""
        request = GetModelStatusRequest()
        request.model_spec.CopyFrom(_spec(model, version))
        response = self._call(self._get_status, request, timeout)
        entries = response.model_version_status
        return {entry.version: entry.State.Name(entry.state) for entry in entries}

    def close(self) -> None:
        """Closes the connection."""
        self._channel.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _method(self, name: str, request: Any, response: Any) -> Any:
        return self._channel.unary_unary(
            f"/tensorflow.serving.{name}",
            request_serializer=request.SerializeToString,
            response_deserializer=response.FromString,
        )

    def _call(self, method: Any, request: Any, timeout: float | None) -> Any:
        try:
            return method(request, timeout=self.timeout if timeout is None else timeout)
        except grpc.RpcError as error:
            call: Any = error
            details = " ".join((call.details() or "").split())
            raise ServingError(call.code(), details, self.address) from error


def _spec(model: str, version: int | None) -> Any:
    spec = ModelSpec(name=model)
    if version is not None:
        spec.version.value = version
    return spec


def _specs(infos: Mapping[str, Any]) -> dict[str, tf.TensorSpec]:
    specs = {}
    for name, info in infos.items():
        if not info.dtype:
            continue  # an operation, not a tensor: the initializer that TF 2 exports list
        sizes = [None if dim.size < 0 else dim.size for dim in info.tensor_shape.dim]
        shape = tf.TensorShape(None if info.tensor_shape.unknown_rank else sizes)
        specs[name] = tf.TensorSpec(shape, tf.as_dtype(info.dtype), name)
    return specs
