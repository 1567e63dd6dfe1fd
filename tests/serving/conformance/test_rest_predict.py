"""SERVING.md 8, `:predict`: bodies, dtypes, numbers, and the text of every mistake."""

import http.client
import json
import re

import pytest

PAIR, TEXT, ECHO = (f"/v1/models/{name}:predict" for name in ("pair", "text", "echo"))
ROW = {"a": [5.0, 6.0], "b": [1.0, 2.0]}


@pytest.fixture
def echo(rest):
    """`echo("int8", [1])`: status, and what comes back or the error."""

    def ask(dtype, value, key="inputs"):
        body = {"signature_name": dtype, key: value}
        content = body if not isinstance(value, str) or not value.startswith("raw:") else None
        if content is None:
            content = f'{{"signature_name": "{dtype}", "{key}": {value[4:]}}}'.encode()
        status, reply = rest("POST", ECHO, content)
        return status, next(iter(reply.values()))

    return ask


@pytest.fixture
def text_of(asking, server):
    """The reply's own characters, which a JSON parser would hide."""

    def ask(path, body):
        connection = http.client.HTTPConnection("localhost", server.rest_api_port, timeout=20)
        connection.request("POST", path, body)
        text = connection.getresponse().read().decode()
        connection.close()
        return text

    return ask


def test_row_format_one_output_is_bare_values(rest):
    body = {"instances": [ROW, {"b": [0, 0], "a": [1, 1]}]}  # whole numbers are numbers, too
    assert rest("POST", PAIR, body) == (200, {"predictions": [[3.0, 2.0], [1.0, 1.0]]})


def test_row_format_of_one_input_takes_values_or_objects(rest):
    for instances in (["a b", "c"], [{"sentences": "a b"}, {"sentences": "c"}]):
        status, body = rest("POST", TEXT, {"instances": instances})
        assert status == 200
        assert body["predictions"] == [
            {"length": 3, "upper": "A B", "words_bytes": [{"b64": "YQ=="}, {"b64": "Yg=="}]},
            {"length": 1, "upper": "C", "words_bytes": [{"b64": "Yw=="}, {"b64": ""}]},
        ]


def test_columnar_format_one_output_is_a_bare_tensor(rest):
    body = {"inputs": {"a": [[5, 6]], "b": [[1, 2]]}}
    assert rest("POST", PAIR, body) == (200, {"outputs": [[3.0, 2.0]]})
    body = {"inputs": {**body["inputs"], "ignored": "other names are ignored"}}
    assert rest("POST", PAIR, body)[0] == 200


def test_columnar_format_takes_a_list_or_b64_objects_for_a_single_input(rest):
    for inputs in (["É"], {"sentences": ["É"]}, [{"b64": "w4k="}]):
        status, body = rest("POST", TEXT, {"inputs": inputs})
        assert status == 200 and body["outputs"]["upper"] == ["É"]
    assert rest("POST", TEXT, {"inputs": []})[1]["outputs"]["upper"] == []  # empty lists, too


def test_unknown_keys_and_text_after_the_document_are_ignored(rest):
    body = json.dumps({"instances": [ROW], "comment": {"x": []}}) + " and more"
    assert rest("POST", PAIR, body.encode()) == (200, {"predictions": [[3.0, 2.0]]})
    assert rest("POST", PAIR, b"\xef\xbb\xbf" + body.encode())[0] == 200


def test_rows_need_outputs_with_one_batch_size(rest):
    body = {"signature_name": "totals", "instances": [ROW]}
    status, reply = rest("POST", PAIR, body)
    assert status == 400 and "Tensor name: total has no shape information" in reply["error"]
    body = {"signature_name": "twice", "instances": [[1.0]]}
    status, reply = rest("POST", "/v1/models/unbatchable:predict", body)
    assert status == 200  # one output: any number of rows
    status, reply = rest("POST", "/v1/models/unbatchable:predict", {**body, "inputs": 1})
    assert status == 400


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b"", "JSON Parse error: The document is empty"),
        (b" \n", "JSON Parse error: The document is empty"),
        (b'{"instances": [1,}', r"JSON Parse error: .* at offset: 17"),
        (b'{"instances": [01]}', r"JSON Parse error: .* at offset: 16"),
        (b"{'instances': [1]}", r"JSON Parse error: .* at offset: 1$"),
        (b"[1]", r"JSON Value: \[1\] Is not object"),
        (b'"a"', 'JSON Value: "a" Is not object'),
        (b"\xff{}", "JSON Parse error: .* at offset: 0"),
        (b'{"instances": ' + b"[" * 100_000, "JSON Parse error: Nested deeper"),
        ({"signature_name": 1, "instances": [1]}, "'signature_name' key must be a string value."),
        ({"signature_name": "s", "instances": [1]}, 'name: "s" not found in signature def'),
        ({"signature_name": "constant", "inputs": 1}, "Failed to get input map for signature: con"),
        ({}, "^Missing 'inputs' or 'instances' key$"),
        ({"inputs": 1, "instances": [1]}, "Not formatted correctly expecting only one of"),
        ({"instances": 1}, "Expecting 'instances' to be an list/array"),
        ({"instances": {"a": 1}}, "Expecting 'instances' to be an list/array"),
        ({"instances": []}, "No values in 'instances' array"),
        ({"instances": [[1.0], [2.0]]}, "expecting list of objects"),
        ({"instances": [ROW, [1.0]]}, "Expecting object but got list at item 1 of input list"),
        ({"instances": [{"a": [1.0]}]}, "keys must be equal to: a,b"),
        ({"instances": [{**ROW, "z": 1}]}, "does not have named input: z"),
        ({"instances": [ROW, {**ROW, "a": [1]}]}, "Expecting tensor size: 2 but got: 1"),
        (
            {"instances": [{**ROW, "a": [[1, 2], [3, 4]]}, {**ROW, "a": [[1], [2], [3], [4]]}]},
            r"Expecting shape \[2,2\] but got: \[4,1\]",
        ),
        ({"inputs": {"a": [[1.0]]}}, "^Missing named input: b in 'inputs' object.$"),
        ({"inputs": [1.0]}, "expecting an object with key/value pairs"),
        ({"inputs": {"a": [[1], [2, 3]], "b": 1}}, "Encountered list at unexpected size: 2"),
        ({"inputs": {"a": [[1, 2]], "b": [[1, 2, 3]]}}, r"Incompatible shapes: \[1,2\] vs"),
    ],
)
def test_bodies_that_are_400(rest, body, text):
    status, reply = rest("POST", PAIR, body)
    assert status == 400 and list(reply) == ["error"]
    assert re.search(text, reply["error"]), reply["error"]


def test_mixed_rows_of_a_single_input_are_400(rest):
    body = {"instances": ["a", {"sentences": "b"}]}
    status, reply = rest("POST", TEXT, body)
    assert status == 400
    assert reply["error"] == "Expecting value/list but got object at item 1 of input list"


def test_malformed_json_comes_before_the_model_and_the_model_before_the_signature(rest):
    assert rest("POST", "/v1/models/nobody:predict", b"{")[0] == 400
    body = {"signature_name": 1}
    assert rest("POST", "/v1/models/nobody:predict", body)[0] == 400
    body = {"signature_name": "nothing"}
    assert rest("POST", "/v1/models/nobody:predict", body)[0] == 404
    status, reply = rest("POST", PAIR, body)
    assert status == 400 and "not found in signature def" in reply["error"]


def test_scalars_are_inputs(rest):
    body = {"inputs": {"x": [2.0], "n": 2.0, "m": [1.0]}}
    assert rest("POST", "/v1/models/power:predict", body) == (200, {"outputs": [5.0]})


@pytest.mark.parametrize(
    "body",
    [
        {"inputs": {"x": [2.0, 1.0]}},
        {"inputs": [2.0, 1.0]},  # the only input that a request must have
        {"inputs": {"x": [2.0, 1.0], "n": 3.0}},
        {"instances": [{"x": 2.0}, {"x": 1.0}]},
        {"instances": [2.0, 1.0]},
        {"instances": [{"x": 2.0, "m": 1.0}, {"x": 1.0, "m": 1.0}]},
    ],
)
def test_defaults_stand_in_as_over_grpc_unlike_there(rest, body):
    status, reply = rest("POST", "/v1/models/power:predict", body)
    assert status == 200
    assert reply[{"inputs": "outputs", "instances": "predictions"}[next(iter(body))]] == [9.0, 2.0]


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ({"inputs": {"n": 2.0}}, "^Missing named input: x in 'inputs' object.$"),
        ({"instances": [{"m": 2.0}]}, "keys must be equal to: m,x$"),
        ({"instances": [{"x": 2.0, "m": 1.0}, {"x": 1.0}]}, "element: 1 .* equal to: m,x$"),
        ({"instances": [{"x": 2.0, "z": 1.0}]}, "does not have named input: z$"),
    ],
)
def test_without_default_an_input_must_be_there(rest, body, text):
    status, reply = rest("POST", "/v1/models/power:predict", body)
    assert status == 400 and re.search(text, reply["error"]), reply["error"]


EXTREMES = {
    "float32": [0.0, -1.5, 3.40282347e38, 1],
    "float64": [1e308, 2**53 + 2, -1],
    "int8": [-128, 127],
    "int16": [-(2**15), 2**15 - 1],
    "int32": [-(2**31), 2**31 - 1],
    "uint8": [0, 255],
    "int64": [-(2**63), 2**63 - 1, 2**53 + 1],
    "uint32": [0, 2**32 - 1],
    "uint64": [0, 2**64 - 1],
    "bool": [True, False],
    "string": ["", "a", 'é\n"\\/\u0000'],
}


@pytest.mark.parametrize("dtype", EXTREMES)
def test_every_dtype_comes_back_exactly(echo, dtype):
    values = EXTREMES[dtype]
    for key in ("inputs", "instances"):
        status, reply = echo(dtype, values, key)
        assert (status, reply) == (200, values)
        assert [type(value) for value in reply] == [
            float if dtype.startswith("float") else type(value) for value in values
        ]


@pytest.mark.parametrize(
    ("dtype", "wrong"),
    [
        *[(dtype, [True, "1", None, {"x": 1}]) for dtype in ("float32", "float64")],
        *[(f"int{bits}", [1.0, True, "1", None, 2**31, -(2**31) - 1]) for bits in (8, 16, 32)],
        ("uint8", [1.0, True, "1", None, 2**31]),
        ("int64", [1.0, 1e3, 2**63, -(2**63) - 1]),
        ("uint32", [1.0, -1, 2**32]),
        ("uint64", [1.0, -1, 2**64]),
        ("bool", [0, 1, "true", None]),
        ("string", [1, 1.5, True, None]),
    ],
)
def test_values_of_another_type_are_400(echo, dtype, wrong):
    name = {"float32": "float", "float64": "double"}.get(dtype, dtype)
    for value in wrong:
        status, error = echo(dtype, [value])
        assert status == 400
        assert re.search(rf"JSON Value: .* Type: \w+ is not of expected type: {name}$", error)


def test_infinities_and_nan_and_too_large_a_float(echo, text_of):
    for dtype in ("float32", "float64"):
        body = f'{{"signature_name": "{dtype}", "inputs": [NaN, Infinity, -Infinity, 1e400]}}'
        assert text_of(ECHO, body) == '{"outputs": [NaN, Infinity, -Infinity, Infinity]}'
    assert echo("float32", [1e39]) == (200, [float("inf")])


def test_numbers_are_written_short_and_whole_ones_keep_their_point(text_of):
    body = '{"signature_name": "float32", "inputs": [0.1, 0.33333333333, 9, 16777217, 1e-30]}'
    assert text_of(ECHO, body) == '{"outputs": [0.1, 0.333333343, 9.0, 16777216.0, 1e-30]}'
    body = '{"signature_name": "float64", "inputs": [0.1, 0.30000000000000004, 1e300]}'
    assert text_of(ECHO, body) == '{"outputs": [0.1, 0.30000000000000004, 1e+300]}'


def test_strings_are_text_or_b64(echo, rest):
    encoded = {"b64": "/wA="}
    # Not UTF-8: JSON cannot hold raw bytes, so they come as b64 whatever the output's name.
    assert echo("string", [encoded, "a"]) == (200, [encoded, "a"])
    assert echo("string", [{"b64": "YQ"}]) == (200, ["a"])  # padding is optional
    for wrong in ({"b64": "_-=="}, {"b64": "a"}, {"b64": "a b="}):
        status, error = echo("string", [wrong])
        assert status == 400 and "Unable to base64 decode" in error
    for wrong in ({"b64": "YQ==", "x": 1}, {"b64": 1}, {}):
        assert echo("string", [wrong])[0] == 400
    status, error = echo("string", 'raw:["\\ud800"]')
    assert status == 400 and "surrogate" in error


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "complex64", "complex128"])
def test_dtypes_without_json_are_501_in_columns_and_400_in_rows(echo, dtype):
    name = "half" if dtype == "float16" else dtype
    status, error = echo(dtype, [1.0])
    assert (status, error) == (501, f"Conversion of JSON Value to type: {name} not supported")
    assert echo(dtype, [1.0], "instances")[0] == 400
