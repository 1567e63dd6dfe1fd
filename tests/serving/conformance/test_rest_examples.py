"""SERVING.md 8, `:classify` and `:regress`: examples in JSON, and their results."""

import re

import pytest

CLASSIFY, REGRESS = (f"/v1/models/examples:{call}" for call in ("classify", "regress"))


def classify(signature="classify", **body):
    return {"signature_name": signature, **body}


def regress(signature="regress", **body):
    return {"signature_name": signature, **body}


def test_classify_gives_pairs_of_label_and_score(rest):
    examples = [{"x": 0.25, "name": "ann"}, {"x": [1.0]}]
    for path in (CLASSIFY, "/v1/models/examples/versions/1:CLASSIFY"):
        assert rest("POST", path, classify(examples=examples)) == (
            200,
            {"results": [[["ann", 0.25], ["other", 0.75]], [["nobody", 1.0], ["other", 0.0]]]},
        )


def test_without_classes_labels_are_empty_and_without_scores_they_are_zero(rest):
    examples = [{"x": 0.1}]
    assert rest("POST", CLASSIFY, classify("scores", examples=examples)) == (
        200,
        {"results": [[["", 0.1], ["", 0.9]]]},
    )
    assert rest("POST", CLASSIFY, classify("classes", examples=examples)) == (
        200,
        {"results": [[["nobody", 0.0], ["other", 0.0]]]},
    )


def test_regress_gives_values(rest):
    for signature in ("regress", "column"):
        body = regress(signature, examples=[{"x": 0.125}, {"x": 2.0}, {"x": 1e-1}])
        assert rest("POST", REGRESS, body) == (200, {"results": [1.25, 20.0, 1.0]})


def test_features_of_the_context_hold_for_every_example_unless_it_has_its_own(rest):
    body = classify(context={"name": "ctx", "x": 0.5}, examples=[{}, {"name": "own"}])
    status, reply = rest("POST", CLASSIFY, body)
    assert status == 200
    assert [row[0] for row in reply["results"]] == [["ctx", 0.5], ["own", 0.5]]


def test_strings_may_be_b64(rest):
    body = classify(examples=[{"x": 0.5, "name": {"b64": "YW5u"}}])
    assert rest("POST", CLASSIFY, body)[1]["results"][0][0] == ["ann", 0.5]


@pytest.mark.parametrize("number", ["2", "true", "[2]", "9007199254740993"])
def test_whole_numbers_and_booleans_are_int64_so_a_float_feature_refuses_them(rest, number):
    content = f'{{"signature_name": "regress", "examples": [{{"x": {number}}}]}}'.encode()
    status, reply = rest("POST", REGRESS, content)
    assert status == 400 and "Data types don't match" in reply["error"]


@pytest.mark.parametrize("number", ["2.0", "2e0", "[0.2E1]"])
def test_numbers_with_a_fraction_or_an_exponent_are_floats(rest, number):
    content = f'{{"signature_name": "regress", "examples": [{{"x": {number}}}]}}'.encode()
    assert rest("POST", REGRESS, content) == (200, {"results": [20.0]})


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ({}, "When method is regress, key 'examples' is expected and was not found"),
        ({"examples": {"x": 1.0}}, "Expecting 'examples' value to be an list/array"),
        ({"examples": None}, "Expecting 'examples' value to be an list/array"),
        ({"examples": []}, "'examples' value is an empty array"),
        ({"examples": [1.0]}, "Example must be JSON object but got JSON Number"),
        ({"examples": [[{"x": 1.0}]]}, "Example must be JSON object but got JSON Array"),
        ({"context": [], "examples": [{}]}, "Example must be JSON object but got JSON Array"),
        ({"examples": [{"x": None}]}, "Feature: x has element with unexpected JSON type: Null"),
        ({"examples": [{"x": [[1.0]]}]}, "x has element with unexpected JSON type: Array"),
        ({"examples": [{"x": {"y": 1}}]}, "x has element with unexpected JSON type: Object"),
        ({"examples": [{"x": [1.0, "a"]}]}, "element type in feature: x expecting type: float"),
        ({"examples": [{"x": [1, 1.5]}]}, "element type in feature: x expecting type: int64"),
        ({"examples": [{"x": ["a", True]}]}, "element type in feature: x expecting type: bytes"),
        ({"examples": [{"x": 2**63}]}, "Feature: x has a number that only uint64 could hold"),
        ({"examples": [{"x": {"b64": "_"}}]}, "Unable to base64 decode"),
        ({"examples": [{"name": "a"}]}, "x"),  # a required feature is missing
        ({"examples": [{"x": "a"}]}, "Data types don't match"),
        ({"signature_name": 1, "examples": [{}]}, "'signature_name' key must be a string value"),
        ({"signature_name": "\ud800", "examples": [{}]}, "The surrogate pair in string is invalid"),
        ({"signature_name": "s", "examples": [{}]}, "No signature was found with the name: s"),
    ],
)
def test_bodies_that_are_400(rest, body, text):
    status, reply = rest("POST", REGRESS, {"signature_name": "regress", **body})
    assert status == 400 and list(reply) == ["error"]
    assert re.search(text, reply["error"]), reply["error"]


def test_malformed_json_comes_before_the_model(rest):
    assert rest("POST", "/v1/models/nobody:classify", b"{")[0] == 400
    assert rest("POST", "/v1/models/nobody:classify", {"examples": [{}]})[0] == 404
    assert rest("POST", "/v1/models/nobody:classify", {})[0] == 400


def test_multi_inference_is_not_on_rest(rest):
    status, reply = rest("POST", "/v1/models/examples:multiInference", {})
    assert status == 400 and reply["error"].startswith("Malformed request: POST")
