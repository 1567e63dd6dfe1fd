"""Section 3 of the protocol, Predict: one test a row, quoted as its docstring or id."""

import numpy as np
import pytest
import tensorflow as tf

from polysemy.serving.protos import PredictRequest, PredictResponse

METHOD = "PredictionService/Predict"
A, B = np.array([[1.0, 2.0]], "float32"), np.array([[10.0, 0.5]], "float32")


@pytest.fixture
def predict(call, asking):
    """`predict("pair", a=A, b=B)`: the answer, or (code name, text)."""

    def send(*args, output_filter=(), **inputs):
        request = asking["predict_request"](*args, **inputs)
        request.output_filter.extend(output_filter)
        return call(METHOD, request, PredictResponse)

    return send


def test_model_comes_before_the_signature(predict):
    """model | section 2 (before the signature is looked at)"""
    expected = "Servable not found for request: Specific(pair, 7)"
    assert predict("pair", "no such", 7, a=A) == ("NOT_FOUND", expected)


def test_no_model_spec_is_named(call):
    answer = call(METHOD, PredictRequest(), PredictResponse)
    assert answer == ("INVALID_ARGUMENT", "Missing ModelSpec")


def test_empty_signature_is_serving_default(predict):
    """signature | empty -> serving_default; the answer tells which it was"""
    answer = predict("pair", a=A, b=B)
    spec = answer.model_spec
    assert (spec.name, spec.version.value, spec.signature_name) == ("pair", 1, "serving_default")
    assert predict("pair", "totals", a=A, b=B).model_spec.signature_name == "totals"


def test_unknown_signature(predict):
    """FAILED_PRECONDITION `Serving signature key "S" not found.`"""
    expected = 'Serving signature key "S" not found.'
    assert predict("pair", "S", a=A, b=B) == ("FAILED_PRECONDITION", expected)


@pytest.mark.parametrize(
    ("inputs", "text"),
    [
        (
            {"a": A},
            "input size does not match signature: 1!=2 len({a}) != len({a,b}). "
            "Sent extra: {}. Missing but required: {b}.",
        ),
        (
            {},
            "input size does not match signature: 0!=2 len({}) != len({a,b}). "
            "Sent extra: {}. Missing but required: {a,b}.",
        ),
        (
            {"a": A, "b": B, "c": B},
            "input size does not match signature: 3!=2 len({a,b,c}) != len({a,b}). "
            "Sent extra: {c}. Missing but required: {}.",
        ),
        (
            {"a": A, "c": B},
            "input tensor alias not found in signature: c. Inputs expected to be in the set {a,b}.",
        ),
    ],
)
def test_input_names(predict, inputs, text):
    """input names | count must equal the signature's; same count, other names"""
    assert predict("pair", **inputs) == ("INVALID_ARGUMENT", text)


def test_defaults_stand_in(predict):
    """defaults | `SignatureDef.defaults[alias]` stands in for a missing input"""
    x = np.array([2.0, 3.0], "float32")
    assert list(predict("power", x=x).outputs["y"].float_val) == [9.0, 28.0]
    two = np.float32(2)
    assert list(predict("power", x=x, n=two).outputs["y"].float_val) == [5.0, 10.0]
    code, text = predict("power", n=two)
    assert code == "INVALID_ARGUMENT" and text.endswith("Missing but required: {x}.")


HALVES = "proto: dtype: DT_FLOAT tensor_shape {dim {size: 1} dim {size: 2}} "


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ("float_val: 3", [3 - 20, 3 - 1]),
        ("float_val: [3, 4, 5]", [3 - 20, 4 - 1]),
        ("", [-20, -1]),
        (r'tensor_content: "\000\000\200\077\000\000\000\100"', [1 - 20, 2 - 1]),
    ],
    ids=["the last one repeats", "more: cut", "none: zeros", "tensor_content"],
)
def test_values_fill_the_shape(predict, values, expected):
    """TensorProto | `tensor_content` or the typed `*_val`; fewer values than elements repeat"""
    answer = predict("pair", a=HALVES + values, b=B)
    assert list(answer.outputs["difference"].float_val) == expected


def test_missing_strings_are_empty(predict):
    """none -> zeros/empty strings"""
    answer = predict("text", sentences="proto: dtype: DT_STRING tensor_shape {dim {size: 2}}")
    assert list(answer.outputs["upper"].string_val) == [b"", b""]


@pytest.mark.parametrize(
    "text",
    [
        'dtype: DT_FLOAT tensor_content: "abc" tensor_shape {dim {size: 1}}',
        "dtype: DT_FLOAT tensor_shape {dim {size: -3}}",
        "tensor_shape {dim {size: 1}} float_val: 1",
        "dtype: DT_FLOAT tensor_shape {unknown_rank: true} float_val: 1",
        "dtype: DT_FLOAT tensor_shape {dim {size: 1099511627776}}",
        "dtype: DT_FLOAT tensor_shape {dim {size: 9000000000000000000} dim {size: 9000000000}}",
        "dtype: DT_STRING tensor_shape {dim {size: 1099511627776}}",
        "dtype: DT_RESOURCE tensor_shape {} resource_handle_val {name: 'x'}",
        "dtype: DT_VARIANT tensor_shape {} variant_val {type_name: 'x'}",
        "dtype: DT_FLOAT_REF tensor_shape {dim {size: 1}} float_val: 1",
    ],
)
def test_tensors_that_are_none(predict, text):
    """Wrong `tensor_content` size, negative dimension, dtype unset, allocation failure"""
    assert predict("pair", a=A, b="proto:" + text) == (
        "INVALID_ARGUMENT",
        "tensor parsing error: b",
    )


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (B.astype("float64"), "Expects arg[1] to be float but double is provided"),
        (B.astype("float16"), "Expects arg[1] to be float but half is provided"),
        (B.astype("int64"), "Expects arg[1] to be float but int64 is provided"),
        (np.array([["x"]]), "Expects arg[1] to be float but string is provided"),
    ],
)
def test_nothing_is_cast(predict, value, text):
    """dtype | must equal the graph's; never cast"""
    assert predict("pair", a=A, b=value) == ("INVALID_ARGUMENT", text)


def test_declared_shape_is_not_enforced(predict):
    """shape | [2,2] into a [None] elementwise model works"""
    answer = predict("echo", "float32", x=np.arange(4, dtype="float32").reshape(2, 2))
    np.testing.assert_array_equal(tf.make_ndarray(answer.outputs["y"]), [[0, 1], [2, 3]])


def test_what_the_graph_cannot_compute_fails_in_its_op(predict):
    """shape | what the graph cannot compute fails in the op"""
    code, text = predict("pair", a=A, b=np.ones((1, 3), "float32"))
    assert code == "INVALID_ARGUMENT" and "Incompatible shapes: [1,2] vs. [1,3]" in text
    code, text = predict("failing", x=np.array([7.0], "float32"))
    assert code == "INVALID_ARGUMENT" and "x is five or more" in text
    for inside in ("[Op:", ".py", "/tmp", "function_node", "__inference"):
        assert inside not in text


def test_output_filter(predict):
    """output_filter | aliases; empty -> all outputs"""
    assert set(predict("text", sentences=["a"]).outputs) == {"upper", "length", "words_bytes"}
    answer = predict("text", sentences=["a b"], output_filter=["length", "upper"])
    assert set(answer.outputs) == {"upper", "length"}
    assert list(answer.outputs["length"].int_val) == [3]


def test_output_filter_mistakes(predict):
    """unknown / repeated alias"""
    assert predict("pair", a=A, b=B, output_filter=["x"]) == (
        "INVALID_ARGUMENT",
        "output tensor alias not found in signature: x "
        "Outputs expected to be in the set {difference}.",
    )
    assert predict("pair", a=A, b=B, output_filter=["difference"] * 2) == (
        "INVALID_ARGUMENT",
        "duplicate output tensor alias: difference",
    )


@pytest.mark.parametrize("count", [3, 100])
def test_reply_is_in_typed_fields(predict, toys, count):
    """reply | typed `*_val` fields, not `tensor_content`; one value per element"""
    for name in toys.DTYPES:
        dtype = tf.as_dtype(name)
        values = np.arange(-1, count - 1) * 3
        array = values.astype(str if name == "string" else dtype.as_numpy_dtype)
        array = np.array(["é", *array[1:]]) if name == "string" else array
        answer = predict("echo", name, x=array)
        proto = answer.outputs["y"]
        assert proto.dtype == dtype.as_datatype_enum and not proto.tensor_content
        fields = [f for f, _ in proto.ListFields() if f.name.endswith("_val")]
        assert len(fields) == 1
        length = len(getattr(proto, fields[0].name))
        assert length == count * (2 if name.startswith("complex") else 1)
        expected = [item.encode() for item in array] if name == "string" else array
        np.testing.assert_array_equal(tf.make_ndarray(proto), expected)


def test_signature_without_inputs(predict):
    """A signature without inputs is callable (0 = 0)."""
    proto = predict("pair", "constant").outputs["answer"]
    assert list(proto.int_val) == [42] and not proto.tensor_shape.dim


def test_outputs_of_any_rank(predict):
    """Outputs may have any rank and unlike batch sizes."""
    outputs = predict("pair", "totals", a=A, b=B).outputs
    assert list(outputs["total"].float_val) == [13.5]
    assert len(outputs["sum"].tensor_shape.dim) == 2


def test_undecodable_request(call):
    """Undecodable request bytes -> INTERNAL."""
    assert call(METHOD, b"\xff\xff garbage", PredictResponse)[0] == "INTERNAL"


def test_predict_of_a_classification_signature(predict):
    """Classification/regression signatures may be called by Predict."""
    example = tf.train.Example()
    example.features.feature["x"].float_list.value.append(0.25)
    answer = predict("examples", "classify", inputs=[example.SerializeToString()])
    assert list(answer.outputs["scores"].float_val) == [0.25, 0.75]
    code, text = predict("examples", "regress", inputs=["no example"])
    assert code == "INVALID_ARGUMENT" and "Could not parse example input" in text


def test_empty_batch(predict):
    assert (
        predict("text", sentences=np.array([], "S1")).outputs["length"].tensor_shape.dim[0]
        == (tf.TensorShape([0]).as_proto().dim[0])
    )


def test_eight_mebibytes(predict):
    array = np.random.default_rng(1).random((2**20, 2), "float32")
    answer = predict("pair", a=array, b=array)
    np.testing.assert_allclose(tf.make_ndarray(answer.outputs["difference"]), -array, rtol=1e-6)


def test_long_errors_are_cut(predict):
    code, text = predict("x" * 5000)
    assert code == "NOT_FOUND" and len(text) == 1024 and text.endswith("...TRUNCATED")
