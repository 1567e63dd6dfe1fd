"""What the clients say over REST: JSON in TensorFlow Serving's columnar form."""

from __future__ import annotations

import base64
import json
import urllib.parse
from collections.abc import Container, Mapping, Sequence
from typing import Any

import grpc
import numpy as np

from .client_calls import Call, Signatures, Target
from .client_tensors import TensorInfo, numpy_dtype
from .errors import ServingError

_CODES = {  # of HTTP, as TensorFlow Serving makes them of its own
    400: grpc.StatusCode.INVALID_ARGUMENT,
    401: grpc.StatusCode.UNAUTHENTICATED,
    403: grpc.StatusCode.PERMISSION_DENIED,
    404: grpc.StatusCode.NOT_FOUND,
    409: grpc.StatusCode.ABORTED,
    413: grpc.StatusCode.RESOURCE_EXHAUSTED,
    429: grpc.StatusCode.RESOURCE_EXHAUSTED,
    499: grpc.StatusCode.CANCELLED,
    500: grpc.StatusCode.INTERNAL,
    501: grpc.StatusCode.UNIMPLEMENTED,
    503: grpc.StatusCode.UNAVAILABLE,
    504: grpc.StatusCode.DEADLINE_EXCEEDED,
}
_DTYPES: dict[str, str] = {"DT_HALF": "float16", "DT_FLOAT": "float32", "DT_DOUBLE": "float64"}


class RestProtocol:
    """Builds the calls of the REST API.

    JSON has neither dtypes nor, where there is but one output, names: both come from the model's
    metadata, asked for once.
    """

    needs_signatures = True

    def check(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Raises ValueError for an input that JSON has no form for."""
        for name, array in arrays.items():
            if array.dtype.kind == "c":
                raise ValueError(
                    f"`{name}` must be real numbers, bools or strings over REST. "
                    f"Received: dtype={array.dtype}"
                )

    def predict(
        self,
        target: Target,
        inputs: Mapping[str, np.ndarray],
        outputs: Sequence[str] | None,
        signatures: Signatures | None,
    ) -> Call:
        name = target.signature or "serving_default"
        infos = (signatures or {}).get(name, {}).get("outputs", {})
        body: dict[str, Any] = {
            "inputs": {key: _to_json(array) for key, array in inputs.items()},
        }
        if target.signature is not None:
            body["signature_name"] = target.signature

        def decode(answer: bytes) -> dict[str, np.ndarray]:
            found = _loads(answer)["outputs"]
            if len(infos) == 1:
                found = {next(iter(infos)): found}
            arrays = {key: _from_json(value, infos.get(key)) for key, value in found.items()}
            unknown = sorted(set(outputs or ()) - set(arrays))
            if unknown:
                raise ServingError(
                    grpc.StatusCode.INVALID_ARGUMENT,
                    f"output tensor alias not found in signature: {unknown[0]} Outputs expected "
                    f"to be in the set {{{','.join(sorted(arrays))}}}.",
                )
            return {key: arrays[key] for key in outputs} if outputs else arrays

        return Call(f"POST {_path(target)}:predict", json.dumps(body).encode(), decode)

    def metadata(self, target: Target) -> Call:
        def decode(answer: bytes) -> Signatures:
            found = _loads(answer)["metadata"]["signature_def"]["signature_def"]
            return {
                name: {
                    "inputs": _infos(each.get("inputs", {}), each.get("defaults", {})),
                    "outputs": _infos(each.get("outputs", {})),
                }
                for name, each in found.items()
            }

        return Call(f"GET {_path(target)}/metadata", None, decode)

    def status(self, target: Target) -> Call:
        def decode(answer: bytes) -> dict[int, str]:
            entries = _loads(answer)["model_version_status"]
            return {int(entry["version"]): entry["state"] for entry in entries}

        return Call(f"GET {_path(target)}", None, decode)


def checked_answer(status: int, body: bytes, address: str) -> bytes:
    """The body of a good answer.

    Raises:
        ServingError: of any other, with the server's text.

    Example:
    >>> checked_answer(200, b"{}", "localhost")
    b'{}'
    """
    if status == 200:
        return body
    text = body.decode("utf-8", "replace")
    try:
        text = str(json.loads(text)["error"])
    except (ValueError, KeyError, TypeError, RecursionError):  # from a proxy, say
        text = f"HTTP {status}: {text[:200]}"
    code = _CODES.get(status, grpc.StatusCode.UNKNOWN)
    raise ServingError(code, " ".join(text.split()), address)


def _path(target: Target) -> str:
    path = f"/v1/models/{urllib.parse.quote(target.model, safe='')}"
    if target.version is not None:
        return f"{path}/versions/{target.version}"
    if target.label is not None:
        return f"{path}/labels/{urllib.parse.quote(target.label, safe='')}"
    return path


def _loads(answer: bytes) -> Any:
    # Servers write strings that are not UTF-8 as they are; the surrogates carry their bytes.
    return json.loads(answer.decode("utf-8", "surrogateescape"))


def _to_json(array: np.ndarray) -> Any:
    values = array.tolist()
    return _mapped(values, _string) if array.dtype == object else values


def _string(value: bytes) -> Any:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return {"b64": base64.b64encode(value).decode()}


def _from_json(value: Any, info: TensorInfo | None) -> np.ndarray:
    if info is None:  # the server answers what its metadata does not name
        raise ValueError("an output that the model's metadata does not name")
    text = info.dtype == "string"
    array = np.array(_mapped(value, _bytes) if text else value, numpy_dtype(info.dtype))
    declared = info.shape or ()
    if array.size == 0 and array.ndim < len(declared):
        # JSON does not tell (1, 0, 4) from (1, 0).
        array = array.reshape(array.shape + tuple(size or 0 for size in declared[array.ndim :]))
    return array


def _bytes(value: Any) -> bytes:
    if isinstance(value, dict):
        return base64.b64decode(value["b64"])
    return str(value).encode("utf-8", "surrogateescape")


def _mapped(value: Any, function: Any) -> Any:
    if isinstance(value, list):
        return [_mapped(item, function) for item in value]
    return function(value)


def _infos(infos: Mapping[str, Any], defaults: Container[str] = ()) -> dict[str, TensorInfo]:
    return {
        name: _info(info, name in defaults)
        for name, info in sorted(infos.items())
        if info["dtype"] != "DT_INVALID"
    }


def _info(info: Mapping[str, Any], optional: bool) -> TensorInfo:
    name = str(info["dtype"])
    dtype = _DTYPES.get(name, name.removeprefix("DT_").lower())
    shape = info["tensor_shape"]
    if shape.get("unknown_rank"):
        return TensorInfo(dtype, None, optional)
    sizes = [int(dim["size"]) for dim in shape.get("dim", ())]
    return TensorInfo(dtype, tuple(None if size < 0 else size for size in sizes), optional)
