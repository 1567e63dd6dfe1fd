"""The body of REST's `:predict`: rows (`instances`) or columns (`inputs`), and its answer."""

from __future__ import annotations

from collections.abc import Container, Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from ..errors import ServingError, invalid_argument
from .cancellation import Cancellation
from .json_document import is_base64, preview
from .json_tensors import to_array, to_json, utf8
from .manager import ModelManager
from .rest_routes import Route
from .servable import DEFAULT_SIGNATURE


def predict(
    manager: ModelManager,
    route: Route,
    document: dict[str, Any],
    max_tensor_bytes: int,
    cancellation: Cancellation,
) -> dict[str, Any]:
    """Answers a request for the version that `route` means, and notes there which one it was.

    Args:
        manager: the models.
        route: the request's path.
        document: dict. The request's body.
        max_tensor_bytes: int. Of each input.
        cancellation: stops the run, or keeps it from beginning.

    Returns:
        The answer as an object for `json.dumps`: `predictions` for rows, `outputs` for columns.

    Raises:
        ServingError: as TensorFlow Serving's REST API fails.
    """
    signature = signature_name(document) or DEFAULT_SIGNATURE
    with manager.acquire(route.spec) as servable:
        route.version, route.signature = servable.version, signature
        try:
            definition = servable.signature_def(signature)
        except ServingError as error:
            raise invalid_argument(
                f'Serving signature name: "{signature}" not found in signature def'
            ) from error
        inputs = definition.inputs
        if not inputs:
            raise invalid_argument(f"Failed to get input map for signature: {signature}")
        dtypes = {alias: tf.as_dtype(inputs[alias].dtype) for alias in sorted(inputs)}
        rows = _is_row_format(document)
        arrays = (
            from_rows(document["instances"], dtypes, definition.defaults)
            if rows
            else from_columns(document["inputs"], dtypes, definition.defaults)
        )
        for alias, array in arrays.items():
            _check_size(alias, array, max_tensor_bytes)
        batched = [array for array in arrays.values() if array.ndim]
        route.examples = len(batched[0]) if batched else 1
        tensors = {alias: tf.constant(array, dtypes[alias]) for alias, array in arrays.items()}
        outputs = servable.run(signature, tensors, cancellation)
        outputs = {alias: outputs[alias] for alias in sorted(outputs)}
    if rows:
        return {"predictions": to_rows(outputs)}
    columns = {alias: to_json(alias, array) for alias, array in outputs.items()}
    return {"outputs": next(iter(columns.values())) if len(columns) == 1 else columns}


def signature_name(document: Mapping[str, Any]) -> str:
    """The signature that a body asks for, or "".

    Example:
    >>> signature_name({"signature_name": "tokens", "inputs": [["a"]]})
    'tokens'
    """
    signature = document.get("signature_name", "")
    if not isinstance(signature, str):
        raise invalid_argument(
            f"JSON Value: {preview(document)} not formatted correctly. 'signature_name' key must "
            "be a string value."
        )
    utf8(signature)
    return signature


def _check_size(alias: str, array: np.ndarray, limit: int) -> None:
    size = sum(map(len, array.flat)) if array.dtype == object else array.nbytes
    if size > limit:
        raise invalid_argument(
            f"Input {alias} must have at most max_tensor_bytes={limit}. Received: {size} bytes"
        )


def _is_row_format(document: Mapping[str, Any]) -> bool:
    found = {"inputs", "instances"} & set(document)
    if not found:
        raise invalid_argument("Missing 'inputs' or 'instances' key")
    if len(found) == 2:
        raise invalid_argument(
            "Not formatted correctly expecting only one of 'inputs' or 'instances' keys"
        )
    return found == {"instances"}


def from_columns(
    value: Any, dtypes: Mapping[str, tf.DType], defaults: Container[str] = ()
) -> dict[str, np.ndarray]:
    """Reads `inputs`: one tensor, or an object with every input; other names are ignored.

    Inputs named in `defaults` may be left out, which TensorFlow Serving lets gRPC alone do.

    Example:
    >>> from_columns({"a": [1], "b": [[2.0]]}, {"a": tf.int32, "b": tf.float32})["a"]
    array([1], dtype=int32)
    """
    if not isinstance(value, dict) or is_base64(value):
        needed = _needed(dtypes, defaults)
        if len(needed) > 1:
            raise invalid_argument(
                f"JSON Value: {preview(value)} 'inputs' is a plain value/list, but expecting an "
                "object with key/value pairs as multiple input tensors are required"
            )
        value = {needed[0]: value}
    arrays = {}
    for alias, dtype in dtypes.items():
        if alias in value:
            arrays[alias] = to_array(value[alias], dtype)
        elif alias not in defaults:
            raise invalid_argument(f"Missing named input: {alias} in 'inputs' object.")
    return arrays


def from_rows(
    instances: Any, dtypes: Mapping[str, tf.DType], defaults: Container[str] = ()
) -> dict[str, np.ndarray]:
    """Reads `instances`: a list with one value, or one object of named values, a row.

    Inputs named in `defaults` may be left out, by all rows alike.

    Example:
    >>> from_rows([{"a": 1}, {"a": 2}], {"a": tf.float32})
    {'a': array([1., 2.], dtype=float32)}
    """
    if not isinstance(instances, list):
        raise invalid_argument(
            f"JSON Value: {preview(instances)} Expecting 'instances' to be an list/array"
        )
    if not instances:
        raise invalid_argument("JSON Value: [] No values in 'instances' array")
    objects = _is_object(instances[0])
    needed = _needed(dtypes, defaults)
    if not objects and len(needed) > 1:
        raise invalid_argument(
            f"JSON Value: {preview(instances)} 'instances' is a plain list, but expecting list "
            "of objects as multiple input tensors are required"
        )
    for i, row in enumerate(instances):
        if objects != _is_object(row):
            expected, got = ("object", "list") if objects else ("value/list", "object")
            raise invalid_argument(f"Expecting {expected} but got {got} at item {i} of input list")
    if not objects:
        return {needed[0]: _stacked(instances, dtypes[needed[0]])}
    # Those of the first row are in all: a column has no holes.
    sent = [alias for alias in dtypes if alias in instances[0] or alias not in defaults]
    for i, row in enumerate(instances):
        if row.keys() == set(sent):
            continue
        where = f"Failed to process element: {i} of 'instances' list. JSON object: {preview(row)}"
        for alias in row:
            if alias not in dtypes:
                raise invalid_argument(f"{where} does not have named input: {alias}")
        raise invalid_argument(f"{where} keys must be equal to: {','.join(sent)}")
    return {alias: _stacked([row[alias] for row in instances], dtypes[alias]) for alias in sent}


def _needed(dtypes: Mapping[str, tf.DType], defaults: Container[str]) -> list[str]:
    """The inputs that a request must have; all of them where each has a default."""
    return [alias for alias in dtypes if alias not in defaults] or list(dtypes)


def _is_object(row: Any) -> bool:
    return isinstance(row, dict) and not is_base64(row)


def _stacked(rows: list, dtype: tf.DType) -> np.ndarray:
    """Reads all rows as one tensor; tells which row is unlike the first where that fails."""
    try:
        return to_array(rows, dtype)
    except ServingError as error:
        first = None
        for i, row in enumerate(rows):
            where = f"Failed to process element: {i} of 'instances' list. Error: "
            try:
                array = to_array(row, dtype)
            except ServingError as inner:
                raise invalid_argument(where + str(inner)) from inner
            first = array if first is None else first
            if array.size != first.size:
                raise invalid_argument(
                    f"{where}Expecting tensor size: {first.size} but got: {array.size}"
                ) from error
            if array.shape != first.shape:
                shapes = f"{_brackets(first.shape)} but got: {_brackets(array.shape)}"
                raise invalid_argument(f"{where}Expecting shape {shapes}") from error
        raise


def to_rows(outputs: Mapping[str, np.ndarray]) -> list:
    """Writes one value a row, or one object a row where there are several outputs.

    Example:
    >>> to_rows({"a": np.array([1, 2]), "b": np.array([True, False])})
    [{'a': 1, 'b': True}, {'a': 2, 'b': False}]
    """
    size = None
    columns = {}
    for alias, array in outputs.items():
        array = np.asarray(array)
        if array.ndim == 0:
            raise invalid_argument(f"Tensor name: {alias} has no shape information")
        size = len(array) if size is None else size
        if len(array) != size:
            raise invalid_argument(
                f"Tensor name: {alias} has inconsistent batch size: {len(array)} "
                f"expecting batch size: {size}"
            )
        columns[alias] = to_json(alias, array)
    if len(columns) == 1:
        return next(iter(columns.values()))
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def _brackets(shape: tuple[int, ...]) -> str:
    return "[" + ",".join(map(str, shape)) + "]"
