"""REST: rows and columns, status and metadata, and the error of every mistake."""

import base64
import gzip
import math
import re

import numpy as np
import pytest

from polysemy.serving.server.json_document import parse

PLAIN, TOY = "/v1/models/plain:predict", "/v1/models/toy:predict"
ROW = {"a": [1.0, 2.0], "b": [10, 0.5]}


def test_rows_equal_direct(rest, direct, sentences):
    for instances in (sentences, [{"sentences": sentence} for sentence in sentences]):
        status, answer = rest("POST", TOY, {"instances": instances})
        assert status == 200
        rows = answer["predictions"]
        for name in ("default", "sequence_output"):
            served = np.array([row[name] for row in rows])
            assert np.abs(served - direct[name]).max() < 1e-5
        words = [[word.decode() for word in row] for row in direct["words"].tolist()]
        assert [row["words"] for row in rows] == words


def test_columns_equal_direct(rest, direct, sentences):
    for inputs in (sentences, {"sentences": sentences}):
        status, answer = rest("POST", TOY, {"inputs": inputs, "signature_name": "serving_default"})
        assert status == 200
        served = np.array(answer["outputs"]["default"])
        assert np.abs(served - direct["default"]).max() < 1e-5


def test_several_inputs_and_one_output(rest):
    assert rest("POST", PLAIN, {"instances": [ROW, ROW]}) == (
        200,
        {"predictions": [[-19.0, 1.0], [-19.0, 1.0]]},
    )
    columns = {"inputs": {"a": [ROW["a"]], "b": [ROW["b"]]}}
    assert rest("POST", PLAIN, columns) == (200, {"outputs": [[-19.0, 1.0]]})
    assert rest("POST", "/v1/models/plain/versions/1:predict", columns)[0] == 200


def test_strings_may_be_base64(rest, direct):
    encoded = {"b64": base64.b64encode("café".encode()).decode()}
    for instances in ([encoded], [{"sentences": encoded}]):
        _, answer = rest("POST", TOY, {"instances": instances})
        np.testing.assert_allclose(
            answer["predictions"][0]["default"], direct["default"][2], atol=1e-5
        )
    _, answer = rest("POST", TOY, {"instances": [{"b64": base64.b64encode(b"\xff").decode()}]})
    assert answer["predictions"][0]["words"] == [{"b64": "/w=="}]  # no UTF-8, so not as text


def test_compressed_bodies_and_an_empty_batch_in_columns(rest):
    body = gzip.compress(b'{"inputs": []}')
    status, answer = rest("POST", TOY, body, {"Content-Encoding": "gzip"})
    assert (status, answer["outputs"]["default"]) == (200, [])


def test_status_and_metadata(rest):
    entry = {
        "version": "3",
        "state": "AVAILABLE",
        "status": {"error_code": "OK", "error_message": ""},
    }
    for path in ("", "/versions/3", "/labels/any"):
        assert rest("GET", f"/v1/models/toy{path}") == (200, {"model_version_status": [entry]})
    status, answer = rest("GET", "/v1/models/toy/metadata")
    assert status == 200
    assert answer["model_spec"] == {"name": "toy", "signature_name": "", "version": "3"}
    signature = answer["metadata"]["signature_def"]["signature_def"]["tokens"]
    assert signature["method_name"] == "tensorflow/serving/predict"
    length = signature["inputs"]["sequence_len"]
    assert length["dtype"] == "DT_INT32"
    assert length["tensor_shape"] == {
        "dim": [{"size": "-1", "name": ""}],
        "unknown_rank": False,
    }


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b"", "JSON Parse error: The document is empty"),
        (b'{"instances": [1,}', "JSON Parse error: .* at offset: 17"),
        (b"[1]", r"JSON Value: \[1\] Is not object"),
        (b'{"a": "\xff"}', "JSON Parse error: .* at offset: 7"),
        (b'{"a":' * 10**5, "JSON Parse error"),
        ({"signature_name": 1, "inputs": 1}, "'signature_name' key must be a string value."),
        ({"signature_name": "s", "inputs": 1}, 'signature name: "s" not found in signature def'),
        ({}, "Missing 'inputs' or 'instances' key"),
        ({"inputs": 1, "instances": 1}, "expecting only one of"),
        ({"instances": 1}, "Expecting 'instances' to be an list/array"),
        ({"instances": []}, "No values in 'instances' array"),
        ({"instances": [[1.0], [2.0]]}, "expecting list of objects"),
        ({"instances": [ROW, [1.0]]}, "Expecting object but got list at item 1 of input list"),
        ({"instances": [{"a": [1.0]}]}, "keys must be equal to: a,b"),
        ({"instances": [{**ROW, "z": 1}]}, "does not have named input: z"),
        ({"instances": [ROW, {**ROW, "a": [1]}]}, "Expecting tensor size: 2 but got: 1"),
        ({"instances": [ROW, {**ROW, "a": [[1], [2]]}]}, r"Expecting shape \[2\] but got: \[2,1\]"),
        ({"inputs": {"a": [[1.0]]}}, "Missing named input: b in 'inputs' object."),
        ({"inputs": {"a": [[1], [2, 3]], "b": 1}}, "Encountered list at unexpected size: 2"),
        ({"inputs": {"a": "x", "b": 1}}, 'JSON Value: "x" Type: String is not of expected type: f'),
        ({"inputs": {"a": True, "b": 1}}, "JSON Value: true Type: Bool is not of expected"),
        ({"inputs": {"a": [[1, 2]], "b": [[1, 2, 3]]}}, r"Incompatible shapes: \[1,2\] vs"),
    ],
)
def test_predict_mistakes_are_400(rest, body, text):
    status, answer = rest("POST", PLAIN, body)
    assert status == 400 and list(answer) == ["error"]
    assert re.search(text, answer["error"]), answer["error"]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ([["x", {"b64": "a"}]], "Unable to base64 decode"),
        ([["x", {"b64": "_-=="}]], "Unable to base64 decode"),
        ([["x", 1]], "Type: Number is not of expected type: string"),
        ([["x", None]], "Type: Null is not of expected type: string"),
        ([["x"], "y"], "Expecting list but got value"),
    ],
)
def test_string_mistakes(rest, value, text):
    body = {"signature_name": "tokens", "inputs": {"tokens": value, "sequence_len": [1]}}
    status, answer = rest("POST", TOY, body)
    assert status == 400 and text in answer["error"]


def test_numbers_of_thousands_of_digits_are_infinite():
    assert parse(b'{"x": [-1' + b"0" * 5000 + b"]}") == {"x": [-math.inf]}


@pytest.mark.parametrize("value", [1.0, 2**31, -(2**31) - 1, True, "1", None])
def test_integers_are_whole_and_in_range(rest, value):
    body = {"signature_name": "count", "inputs": [[value]]}
    status, answer = rest("POST", TOY, body)
    assert status == 400 and "is not of expected type: int32" in answer["error"]
    assert rest("POST", TOY, {**body, "inputs": [[2**31 - 1]]}) == (200, {"outputs": [1]})


@pytest.mark.parametrize(
    ("method", "path", "status", "error"),
    [
        ("GET", "/v1/models", 400, "Missing model name in request."),
        ("GET", "/v1/models/", 400, "Malformed request: GET /v1/models/"),
        ("GET", "http://proxied:80/v1/models/x", 404, "Could not find any versions of model x"),
        ("GET", "/v1/models/x", 404, "Could not find any versions of model x"),
        ("GET", "/v1/models/toy/versions/1", 404, "Could not find version 1 of model toy"),
        ("GET", "/v1/models/x/metadata", 404, "Servable not found for request: Latest(x)"),
        ("GET", "/v1/models/toy/versions/-1", 400, "Malformed request: GET"),
        ("GET", f"/v1/models/toy/versions/{2**63}", 400, "Failed to convert version"),
        ("GET", "/v1/models/toy:predict", 400, "Malformed request: GET /v1/models/toy:predict"),
        ("PUT", "/v1/models/toy", 400, "Malformed request: PUT /v1/models/toy"),
        ("POST", "/v1/models/toy:infer", 400, "Malformed request: POST"),
        ("POST", "/v1/models/x:predict", 404, "Servable not found for request: Latest(x)"),
        ("POST", "/v1/models/toy/versions/1:predict", 404, "request: Specific(toy, 1)"),
        ("POST", "/v1/models/toy/labels/l:predict", 400, "Unrecognized servable version label: l"),
        ("POST", "/v1/models/caf%C3%A9:predict", 404, "request: Latest(café)"),
    ],
)
def test_routes(rest, method, path, status, error):
    body = b'{"instances": ["a"]}' if method == "POST" else None
    found, answer = rest(method, path, body)
    assert found == status and error in answer["error"]


def test_outside_the_api_is_404(rest):
    assert rest("GET", "/")[0] == 404
    assert rest("GET", "/v2/models/toy")[0] == 404
