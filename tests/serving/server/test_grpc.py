"""gRPC: answers equal to the model's, and the codes and texts of every mistake."""

import grpc
import numpy as np
import pytest
import tensorflow as tf
from google.protobuf import text_format

from polysemy.serving.errors import ServingError
from polysemy.serving.protos import (
    GetModelMetadataRequest,
    GetModelMetadataResponse,
    GetModelStatusRequest,
    GetModelStatusResponse,
    PredictRequest,
    PredictResponse,
    SignatureDefMap,
    TensorProto,
)
from polysemy.serving.server.grpc_calls import UNREADABLE, reader
from polysemy.serving.server.grpc_service import PredictionService
from polysemy.serving.server.servable import Servable

METHODS = {
    "PredictionService/Predict": (PredictRequest, PredictResponse),
    "PredictionService/GetModelMetadata": (GetModelMetadataRequest, GetModelMetadataResponse),
    "ModelService/GetModelStatus": (GetModelStatusRequest, GetModelStatusResponse),
}
PREDICT, METADATA, STATUS = METHODS


@pytest.fixture
def call(channel):
    """Sends a message, or raw bytes; returns the answer or (code name, text)."""

    def send(method, message):
        raw = message if isinstance(message, bytes) else message.SerializeToString()
        stub = channel.unary_unary(f"/tensorflow.serving.{method}")
        try:
            return METHODS[method][1].FromString(stub(raw, timeout=20))
        except grpc.RpcError as error:
            return error.code().name, error.details()

    return send


def predict_request(name="plain", signature="", version=None, **inputs):
    request = PredictRequest()
    request.model_spec.name = name
    request.model_spec.signature_name = signature
    if version is not None:
        request.model_spec.version.value = version
    for alias, value in inputs.items():
        is_proto = isinstance(value, TensorProto)
        request.inputs[alias].CopyFrom(value if is_proto else tf.make_tensor_proto(value))
    return request


A, B = np.array([[1.0, 2.0]], "float32"), np.array([[10.0, 0.5]], "float32")


def test_served_equals_direct(client, direct, sentences):
    outputs = client.predict("toy", sentences=sentences)
    assert set(outputs) == set(direct)
    assert np.abs(outputs["default"] - direct["default"]).max() < 1e-5
    assert np.abs(outputs["sequence_output"] - direct["sequence_output"]).max() < 1e-5
    assert outputs["words"].tolist() == direct["words"].tolist()


def test_each_signature_answers_and_inputs_keep_their_names(client, direct, toy):
    outputs = client.predict(
        "toy", signature="tokens", tokens=[["café", "the"]], sequence_len=[1], version=3
    )
    np.testing.assert_allclose(outputs["default"], direct["default"][2:3], atol=1e-5)
    inputs = {"token_ids": np.array([[2, 9]], "int32"), "padding_mask": np.array([[True, False]])}
    outputs = client.predict("toy", inputs, signature="ids")
    np.testing.assert_allclose(
        outputs["sequence_output"], toy(inputs)["sequence_output"], atol=1e-5
    )
    assert client.predict("toy", signature="count", token_ids=[[1, 0, 3]])["count"].tolist() == [2]
    np.testing.assert_allclose(client.predict("plain", a=A, b=B)["difference"], A - 2 * B)


def test_an_empty_batch_is_answered(client):
    outputs = client.predict("toy", sentences=np.array([], "S1"))
    assert outputs["default"].shape == (0, 4)


def test_answer_tells_version_and_signature_and_uses_typed_values(call):
    answer = call(PREDICT, predict_request(a=A, b=B))
    assert (answer.model_spec.name, answer.model_spec.version.value) == ("plain", 1)
    assert answer.model_spec.signature_name == "serving_default"
    proto = answer.outputs["difference"]
    assert list(proto.float_val) == [-19.0, 1.0] and not proto.tensor_content


def test_output_filter_chooses(call):
    request = predict_request("toy", sentences=["the"])
    request.output_filter.append("default")
    assert list(call(PREDICT, request).outputs) == ["default"]
    request.output_filter.append("default")
    assert call(PREDICT, request) == (
        "INVALID_ARGUMENT",
        "duplicate output tensor alias: default",
    )
    request.output_filter[:] = ["elmo"]
    assert call(PREDICT, request) == (
        "INVALID_ARGUMENT",
        "output tensor alias not found in signature: elmo "
        "Outputs expected to be in the set {default,sequence_output,words}.",
    )


def proto(text):
    return text_format.Parse(text, TensorProto())


@pytest.mark.parametrize(
    ("request_", "code", "text"),
    [
        (PredictRequest(), "INVALID_ARGUMENT", "Missing ModelSpec"),
        (predict_request(""), "INVALID_ARGUMENT", "ModelSpec has no name specified."),
        (predict_request("x"), "NOT_FOUND", "Servable not found for request: Latest(x)"),
        (
            predict_request("toy", "no such", 1),  # the model first, then the signature
            "NOT_FOUND",
            "Servable not found for request: Specific(toy, 1)",
        ),
        (
            predict_request(version=0),
            "NOT_FOUND",
            "Servable not found for request: Specific(plain, 0)",
        ),
        (
            predict_request(version=-(2**63)),
            "NOT_FOUND",
            f"Servable not found for request: Specific(plain, {-(2**63)})",
        ),
        (
            predict_request(signature="s"),
            "FAILED_PRECONDITION",
            'Serving signature key "s" not found.',
        ),
        (
            predict_request(a=A),
            "INVALID_ARGUMENT",
            "input size does not match signature: 1!=2 len({a}) != len({a,b}). "
            "Sent extra: {}. Missing but required: {b}.",
        ),
        (
            predict_request(a=A, b=B, c=B),
            "INVALID_ARGUMENT",
            "input size does not match signature: 3!=2 len({a,b,c}) != len({a,b}). "
            "Sent extra: {c}. Missing but required: {}.",
        ),
        (
            predict_request(a=A, c=B),
            "INVALID_ARGUMENT",
            "input tensor alias not found in signature: c. Inputs expected to be in the set {a,b}.",
        ),
        (
            predict_request(a=A, b=B.astype("float64")),
            "INVALID_ARGUMENT",
            "Expects arg[1] to be float but double is provided",
        ),
        (
            predict_request(a=A, b=proto("tensor_shape {dim {size: 1}} float_val: 1")),
            "INVALID_ARGUMENT",
            "tensor parsing error: b",
        ),
        (
            predict_request(a=A, b=proto('dtype: DT_FLOAT tensor_content: "abc"')),
            "INVALID_ARGUMENT",
            "tensor parsing error: b",
        ),
        (
            predict_request(a=A, b=proto("dtype: DT_FLOAT tensor_shape {dim {size: -3}}")),
            "INVALID_ARGUMENT",
            "tensor parsing error: b",
        ),
        (
            predict_request(
                a=A, b=proto("dtype: DT_FLOAT tensor_shape {dim {size: 1099511627776}}")
            ),
            "INVALID_ARGUMENT",
            "tensor parsing error: b",
        ),
    ],
)
def test_predict_mistakes(call, request_, code, text):
    assert call(PREDICT, request_) == (code, text)


def test_label_is_unknown_even_if_empty(call):
    request = predict_request(a=A, b=B)
    request.model_spec.version_label = ""
    expected = "Unrecognized servable version label: "
    assert call(PREDICT, request) == ("INVALID_ARGUMENT", expected)


def test_what_the_graph_cannot_compute_fails_in_its_op(call):
    code, text = call(PREDICT, predict_request(a=A, b=np.ones((1, 3), "float32")))
    assert code == "INVALID_ARGUMENT"
    assert "Incompatible shapes: [1,2] vs. [1,3]" in text
    assert "[Op:" not in text and ".py" not in text and "defined at" not in text


def test_few_values_repeat_the_last_one(call):
    short = proto("dtype: DT_FLOAT tensor_shape {dim {size: 1} dim {size: 2}} float_val: 3")
    answer = call(PREDICT, predict_request(a=short, b=B))
    assert list(answer.outputs["difference"].float_val) == [3 - 20, 3 - 1]
    none = proto("dtype: DT_FLOAT tensor_shape {dim {size: 1} dim {size: 2}}")
    answer = call(PREDICT, predict_request(a=none, b=B))
    assert list(answer.outputs["difference"].float_val) == [-20, -1]


def test_bytes_that_are_no_message_are_internal(call):
    """Not by gRPC itself, to which each is a call that it never lets go of."""
    assert call(PREDICT, b"\xff\xff garbage") == ("INTERNAL", "Exception deserializing request!")
    assert reader(PredictRequest)(b"\xff\xff garbage") is UNREADABLE


def test_what_goes_wrong_inside_is_internal_without_a_word_of_it(call, monkeypatch, caplog):
    def fail(*_):
        raise KeyError("/secret")

    def record(service, api, spec, message, answer, status, *rest):
        recorded.append(status)

    recorded = []
    monkeypatch.setattr(Servable, "predict", fail)
    monkeypatch.setattr(PredictionService, "_record", record)
    assert call(PREDICT, predict_request(a=A, b=B)) == ("INTERNAL", "Internal error")
    assert "/secret" in caplog.text
    assert recorded == ["INTERNAL"]


def test_a_method_that_is_not_served_is_unimplemented(channel):
    stub = channel.unary_unary("/tensorflow.serving.SessionService/SessionRun")
    with pytest.raises(grpc.RpcError, check=lambda e: e.code() == grpc.StatusCode.UNIMPLEMENTED):
        stub(b"", timeout=20)


def test_long_errors_are_cut(call):
    code, text = call(PREDICT, predict_request("x" * 5000))
    assert code == "NOT_FOUND" and len(text) == 1024 and text.endswith("...TRUNCATED")


def test_metadata_has_every_signature(call, client):
    request = GetModelMetadataRequest(metadata_field=["signature_def"])
    request.model_spec.name = "toy"
    answer = call(METADATA, request)
    assert (answer.model_spec.name, answer.model_spec.version.value) == ("toy", 3)
    assert answer.model_spec.signature_name == ""
    signatures = SignatureDefMap()
    assert answer.metadata["signature_def"].Unpack(signatures)
    names = {"serving_default", "tokens", "ids", "count", "__saved_model_init_op"}
    assert set(signatures.signature_def) == names
    specs = client.metadata("toy")["tokens"]["inputs"]
    assert (specs["sequence_len"].dtype, specs["tokens"].dtype) == ("int32", "string")
    assert specs["tokens"].shape == (None, None)


@pytest.mark.parametrize(
    ("name", "fields", "code", "text"),
    [
        ("toy", [], "INVALID_ARGUMENT", "must specify at least one metadata_field"),
        ("toy", ["graph"], "INVALID_ARGUMENT", "Metadata field graph is not supported"),
        (None, ["signature_def"], "INVALID_ARGUMENT", "Missing ModelSpec"),
        ("x", ["signature_def"], "NOT_FOUND", "Servable not found for request: Latest(x)"),
    ],
)
def test_metadata_mistakes(call, name, fields, code, text):
    request = GetModelMetadataRequest(metadata_field=fields)
    if name is not None:
        request.model_spec.name = name
    found, message = call(METADATA, request)
    assert found == code and message.endswith(text)


def test_status_of_the_versions_seen(call, client):
    assert client.status("toy") == {3: "AVAILABLE"}
    request = GetModelStatusRequest()
    request.model_spec.name = "toy"
    request.model_spec.version_label = "ignored"
    (entry,) = call(STATUS, request).model_version_status
    assert (entry.version, entry.state, entry.status.error_code) == (3, 30, 0)


@pytest.mark.parametrize(
    ("name", "version", "code", "text"),
    [
        (None, None, "INVALID_ARGUMENT", "Missing ModelSpec"),
        ("", None, "NOT_FOUND", "Could not find any versions of model "),
        ("x", 1, "NOT_FOUND", "Could not find any versions of model x"),
        ("toy", 1, "NOT_FOUND", "Could not find version 1 of model toy"),
    ],
)
def test_status_mistakes(call, name, version, code, text):
    request = GetModelStatusRequest()
    if name is not None:
        request.model_spec.name = name
        request.model_spec.SetInParent()
    if version is not None:
        request.model_spec.version.value = version
    assert call(STATUS, request) == (code, text)


def test_client_errors_are_one_line(client, server):
    with pytest.raises(
        ServingError,
        match=rf"^{server.address}: NOT_FOUND: Servable not found for request: Latest\(x\)$",
    ) as caught:
        client.predict("x", sentences=["a"])
    assert caught.value.code == grpc.StatusCode.NOT_FOUND


def test_client_deadline(client):
    with pytest.raises(ServingError, match="DEADLINE_EXCEEDED"):
        client.predict("toy", sentences=["the"] * 10, timeout=1e-6)
