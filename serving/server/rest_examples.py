"""The body of REST's `:classify` and `:regress`: examples as JSON objects, and their results."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import ServingError, invalid_argument
from ..protos import ClassificationRequest, RegressionRequest
from .json_document import is_base64, preview
from .json_tensors import decode_base64, json_type, shortest, utf8


def read_request(document: dict[str, Any], call: str, spec: Any, signature: str) -> Any:
    """Makes the request that gRPC would have brought.

    Args:
        document: dict. The body: `examples`, a list of objects, and perhaps `context`, one object
            whose features every example has.
        call: str. `classify` or `regress`.
        spec: ModelSpec. The model and version asked for.
        signature: str. The signature asked for, "" for the default one.

    Raises:
        ServingError: INVALID_ARGUMENT for all that `tf.train.Example` has no form for.

    Example:
    >>> from ..protos import ModelSpec
    >>> request = read_request({"examples": [{"x": 2.0}]}, "regress", ModelSpec(), "")
    >>> request.input.example_list.examples[0].features.feature["x"].float_list.value
    [2.0]
    """
    request = ClassificationRequest() if call == "classify" else RegressionRequest()
    request.model_spec.CopyFrom(spec)
    request.model_spec.signature_name = signature
    examples = request.input.example_list.examples
    if "context" in document:
        examples = request.input.example_list_with_context.examples
        context = request.input.example_list_with_context.context
        fill_example(context, document["context"])
    rows = document.get("examples")
    if "examples" not in document:
        raise _format_error(document, "key 'examples' is expected and was not found", call)
    if not isinstance(rows, list):
        raise _format_error(document, "Expecting 'examples' value to be an list/array")
    if not rows:
        raise _format_error(document, "'examples' value is an empty array")
    for row in rows:
        fill_example(examples.add(), row)
    return request


def _format_error(document: dict, text: str, call: str = "") -> ServingError:
    when = f"When method is {call}, " if call else ""
    return invalid_argument(f"JSON Value: {preview(document)} {when}{text}")


def fill_example(example: Any, content: Any) -> None:
    """Reads one object of features into a `tf.train.Example`.

    Whole numbers and booleans make an int64 list, numbers with a fraction or an exponent a float
    list, strings and `{"b64": ...}` a bytes list.
    """
    if not isinstance(content, dict):
        raise invalid_argument(
            f"Example must be JSON object but got JSON {json_type(content)}: {preview(content)}"
        )
    for name, value in content.items():
        utf8(name)
        feature = example.features.feature[name]
        values = value if isinstance(value, list) else [value]
        kinds = [_kind(name, item) for item in values]
        if not kinds:
            continue
        kind = kinds[0]
        if any(other != kind for other in kinds):
            raise invalid_argument(
                f"Unexpected element type in feature: {name} expecting type: {kind}"
            )
        if kind == "int64":
            feature.int64_list.value.extend(map(int, values))
        elif kind == "float":
            # Beyond float32 is infinite there.
            with np.errstate(over="ignore"):
                feature.float_list.value.extend(np.array(values, "float64").astype("float32"))
        else:
            feature.bytes_list.value.extend(
                utf8(item) if isinstance(item, str) else decode_base64(item) for item in values
            )


def _kind(name: str, item: Any) -> str:
    if isinstance(item, int):  # booleans, too
        if not -(2**63) <= item < 2**63:
            raise invalid_argument(f"Feature: {name} has a number that only uint64 could hold.")
        return "int64"
    if isinstance(item, float):
        return "float"
    if isinstance(item, str) or is_base64(item):
        return "bytes"
    raise invalid_argument(
        f"Feature: {name} has element with unexpected JSON type: {json_type(item)}"
    )


def write_response(response: Any) -> dict[str, Any]:
    """The `results` of a classification or regression response.

    Example:
    >>> from ..protos import RegressionResponse
    >>> response = RegressionResponse()
    >>> response.result.regressions.add().value = 0.1
    >>> write_response(response)
    {'results': [0.1]}
    """
    result = response.result
    if hasattr(result, "regressions"):
        return {"results": _decimals([item.value for item in result.regressions])}
    scores = iter(_decimals([item.score for row in result.classifications for item in row.classes]))
    return {
        "results": [
            [[item.label, next(scores)] for item in row.classes] for row in result.classifications
        ]
    }


def _decimals(values: list[float]) -> list[float]:
    return shortest(np.array(values, "float32")).tolist()
