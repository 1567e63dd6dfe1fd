"""Sections 4 and 5 of the protocol, MultiInference and GetModelMetadata: one test a row."""

import pytest
import tensorflow as tf

from polysemy.serving.protos import (
    GetModelMetadataRequest,
    GetModelMetadataResponse,
    MultiInferenceRequest,
    MultiInferenceResponse,
    SignatureDefMap,
)
from polysemy.serving.server.runner import Runner
from polysemy.serving.server.servable import Servable

CLASSIFY, REGRESS = "tensorflow/serving/classify", "tensorflow/serving/regress"


def make_request(*tasks, x=(0.25, 0.5)):
    """Tasks are (model, signature, method)."""
    request = MultiInferenceRequest()
    for model, signature, method in tasks:
        task = request.tasks.add(method_name=method)
        task.model_spec.name = model
        task.model_spec.signature_name = signature
    for value in x:
        example = request.input.example_list.examples.add()
        example.features.feature["x"].float_list.value.append(value)
    return request


@pytest.fixture
def infer(call):
    def send(*tasks, **options):
        request = make_request(*tasks, **options)
        return call("PredictionService/MultiInference", request, MultiInferenceResponse)

    return send


def test_results_in_task_order(infer):
    """Results in task order, each with its own model_spec."""
    answer = infer(("examples", "column", REGRESS), ("examples", "scores", CLASSIFY))
    first, second = answer.results
    assert [item.value for item in first.regression_result.regressions] == [2.5, 5.0]
    rows = second.classification_result.classifications
    assert [[item.score for item in row.classes] for row in rows] == [[0.25, 0.75], [0.5, 0.5]]
    specs = [(r.model_spec.signature_name, r.model_spec.version.value) for r in answer.results]
    assert specs == [("column", 1), ("scores", 1)]


@pytest.mark.parametrize(
    ("tasks", "code", "text"),
    [
        ([], "INVALID_ARGUMENT", "ModelSpec has no name specified."),
        (
            [("examples", "regress", REGRESS), ("pair", "scores", CLASSIFY)],
            "INVALID_ARGUMENT",
            "All ModelSpecs in a MultiInferenceRequest must access the same model name.",
        ),
        (
            [("examples", "regress", REGRESS), ("", "scores", CLASSIFY)],
            "INVALID_ARGUMENT",
            "Found ModelSpec with an empty model name.",
        ),
        (
            [("examples", "regress", REGRESS)] * 2,
            "INVALID_ARGUMENT",
            "Duplicate evaluation of signature: regress",
        ),
        (
            [("examples", "S", REGRESS)],
            "INVALID_ARGUMENT",
            "Requested signature not found in model graph: S",
        ),
        (
            [("examples", "regress", "M")],
            "UNIMPLEMENTED",
            "Unsupported signature method_name: M",
        ),
        ([("x", "", REGRESS)], "NOT_FOUND", "Servable not found for request: Latest(x)"),
        ([("examples", "classify", REGRESS)], "INVALID_ARGUMENT", "Expected one output Tensor."),
        (
            [("examples", "scores", CLASSIFY), ("examples", "square", REGRESS)],
            "INVALID_ARGUMENT",
            "Expected output Tensor shape to be either [batch_size] or [batch_size, 1] "
            "but got [2,2]",
        ),
    ],
)
def test_mistakes(infer, tasks, code, text):
    """No tasks; another model name; the same signature twice; unknown signature; other method"""
    assert infer(*tasks) == (code, text)


def test_no_examples(infer):
    answer = infer(("examples", "regress", REGRESS), x=())
    assert answer == ("INVALID_ARGUMENT", "Input is empty.")


def test_one_run_for_all_tasks(models, monkeypatch):
    """One session run for all tasks."""
    servable = Servable("examples", 1, models / "examples" / "1")
    runs = []
    run = Runner.__call__
    monkeypatch.setattr(Runner, "__call__", lambda *args: runs.append(1) or run(*args))
    tasks = [("examples", "regress", REGRESS), ("examples", "classify", CLASSIFY)]
    assert len(servable.multi_inference(make_request(*tasks)).results) == 2
    assert len(runs) == 1


@pytest.fixture
def metadata(call):
    def send(name, *fields):
        request = GetModelMetadataRequest(metadata_field=fields)
        if name is not None:
            request.model_spec.name = name
        return call("PredictionService/GetModelMetadata", request, GetModelMetadataResponse)

    return send


@pytest.mark.parametrize(
    ("name", "fields", "code", "text"),
    [
        (
            "pair",
            [],
            "INVALID_ARGUMENT",
            "GetModelMetadataRequest must specify at least one metadata_field",
        ),
        ("pair", ["F"], "INVALID_ARGUMENT", "Metadata field F is not supported"),
        ("x", ["signature_def", "F"], "INVALID_ARGUMENT", "Metadata field F is not supported"),
        (None, ["signature_def"], "INVALID_ARGUMENT", "Missing ModelSpec"),
        ("", ["signature_def"], "INVALID_ARGUMENT", "ModelSpec has no name specified."),
        ("x", ["signature_def"], "NOT_FOUND", "Servable not found for request: Latest(x)"),
    ],
)
def test_metadata_mistakes(metadata, name, fields, code, text):
    """`metadata_field` empty; any field but `signature_def`; then section 2"""
    assert metadata(name, *fields) == (code, text)


def test_metadata(metadata):
    """Reply: `model_spec{name, version}`, every signature of the MetaGraph"""
    answer = metadata("pair", "signature_def")
    spec = answer.model_spec
    assert (spec.name, spec.version.value, spec.signature_name) == ("pair", 1, "")
    signatures = SignatureDefMap()
    assert answer.metadata["signature_def"].Unpack(signatures)
    names = {"serving_default", "totals", "constant", "__saved_model_init_op"}
    assert set(signatures.signature_def) == names
    definition = signatures.signature_def["serving_default"]
    assert definition.inputs["a"].name == "serving_default_a:0"
    assert tf.TensorShape(definition.inputs["a"].tensor_shape).as_list() == [None, 2]
    assert definition.method_name == "tensorflow/serving/predict"
