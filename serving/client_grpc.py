"""What the clients say over gRPC: messages as bytes, and the channel that carries them."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from typing import Any

import grpc
import numpy as np

from .client_calls import Call, Signatures, Target
from .client_protos import (
    GetModelMetadataRequest,
    GetModelMetadataResponse,
    GetModelStatusRequest,
    GetModelStatusResponse,
    ModelSpec,
    PredictRequest,
    PredictResponse,
    SignatureDefMap,
)
from .client_tensors import TensorInfo, dtype_name, from_proto, to_proto
from .client_tls import TLS
from .errors import ServingError

_STATES = {0: "UNKNOWN", 10: "START", 20: "LOADING", 30: "AVAILABLE", 40: "UNLOADING", 50: "END"}
_IDENTITY = {"request_serializer": None, "response_deserializer": None}
_OPTIONS = (
    ("grpc.max_receive_message_length", 2**31 - 1),
    ("grpc.max_send_message_length", -1),
    # A channel that could not connect fails at once until it tries again; by default only after
    # a second, and later after minutes, which is longer than all our retries together.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1000),
)


class GrpcProtocol:
    """Builds the calls of PredictionService and ModelService."""

    needs_signatures = False

    def check(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Messages hold every array that the clients take."""

    def predict(
        self,
        target: Target,
        inputs: Mapping[str, np.ndarray],
        outputs: Sequence[str] | None,
        signatures: Signatures | None,
    ) -> Call:
        request = PredictRequest(model_spec=_spec(target), output_filter=outputs or ())
        for name, array in inputs.items():
            request.inputs[name].CopyFrom(to_proto(array))

        def decode(answer: bytes) -> dict[str, np.ndarray]:
            response = PredictResponse.FromString(answer)
            return {name: from_proto(proto) for name, proto in response.outputs.items()}

        return Call("/tensorflow.serving.PredictionService/Predict", request, decode)

    def metadata(self, target: Target) -> Call:
        request = GetModelMetadataRequest(
            model_spec=_spec(target), metadata_field=["signature_def"]
        )

        def decode(answer: bytes) -> Signatures:
            response = GetModelMetadataResponse.FromString(answer)
            signatures = SignatureDefMap.FromString(response.metadata["signature_def"].value)
            return {
                name: {
                    "inputs": infos_of(each.inputs, each.defaults),
                    "outputs": infos_of(each.outputs),
                }
                for name, each in signatures.signature_def.items()
            }

        return Call("/tensorflow.serving.PredictionService/GetModelMetadata", request, decode)

    def status(self, target: Target) -> Call:
        request = GetModelStatusRequest(model_spec=_spec(target))

        def decode(answer: bytes) -> dict[int, str]:
            entries = GetModelStatusResponse.FromString(answer).model_version_status
            return {entry.version: _STATES.get(entry.state, str(entry.state)) for entry in entries}

        return Call("/tensorflow.serving.ModelService/GetModelStatus", request, decode)


class _GrpcTransport:
    """A channel, its errors in our words."""

    def __init__(self, address: str, tls: TLS | None) -> None:
        self.address = address
        self._tls = tls

    def _options(self) -> tuple:
        # Of several addresses behind one name each gets its share of the requests.
        spread = self.address.startswith("dns:")
        return (*_OPTIONS, *((("grpc.lb_policy_name", "round_robin"),) if spread else ()))

    def _open(self, module: Any) -> Any:
        if self._tls is None:
            return module.insecure_channel(self.address, options=self._options())
        credentials = self._tls.credentials()
        return module.secure_channel(self.address, credentials, options=self._options())

    def _error(self, error: Any) -> ServingError:
        details = " ".join((error.details() or "").split())
        return ServingError(error.code(), details, self.address)


class SyncGrpc(_GrpcTransport):
    """Sends calls and waits."""

    def __init__(self, address: str, tls: TLS | None) -> None:
        super().__init__(address, tls)
        self._channel = self._open(grpc)

    def send(self, call: Call, timeout: float) -> bytes:
        method = self._channel.unary_unary(call.method, **_IDENTITY)
        try:
            return method(call.payload.SerializeToString(), timeout=timeout)
        except grpc.RpcError as error:
            raise self._error(error) from error

    def close(self) -> None:
        self._channel.close()


class AsyncGrpc(_GrpcTransport):
    """Sends calls from an event loop."""

    _channel: Any = None

    async def send(self, call: Call, timeout: float) -> bytes:
        if self._channel is None:  # a channel belongs to the loop in which it is made
            self._channel = self._open(grpc.aio)
        method = self._channel.unary_unary(call.method, **_IDENTITY)
        try:
            return await method(call.payload.SerializeToString(), timeout=timeout)
        except grpc.RpcError as error:
            raise self._error(error) from error

    async def close(self) -> None:
        if self._channel is not None:
            await self._channel.close()


def infos_of(infos: Mapping[str, Any], defaults: Container[str] = ()) -> dict[str, TensorInfo]:
    """Tensors of a SignatureDef; operations, which have no dtype, left out."""
    return {
        name: _info(info, name in defaults) for name, info in sorted(infos.items()) if info.dtype
    }


def _info(info: Any, optional: bool) -> TensorInfo:
    sizes = tuple(None if dim.size < 0 else dim.size for dim in info.tensor_shape.dim)
    shape = None if info.tensor_shape.unknown_rank else sizes
    return TensorInfo(dtype_name(info.dtype) or f"dtype {info.dtype}", shape, optional)


def _spec(target: Target) -> Any:
    spec = ModelSpec(name=target.model, signature_name=target.signature or "")
    if target.version is not None:
        spec.version.value = target.version
    if target.label is not None:
        spec.version_label = target.label
    return spec
