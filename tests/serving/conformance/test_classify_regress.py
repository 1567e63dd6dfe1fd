"""Section 4 of the protocol, Classify and Regress: one test a row, quoted as its docstring."""

import pytest
import tensorflow as tf

from polysemy.serving.errors import ServingError
from polysemy.serving.protos import (
    ClassificationRequest,
    ClassificationResponse,
    RegressionRequest,
    RegressionResponse,
)
from polysemy.serving.server.options import ServerOptions
from polysemy.serving.server.servable import Servable

METHODS = {
    "Classify": (ClassificationRequest, ClassificationResponse),
    "Regress": (RegressionRequest, RegressionResponse),
}


def example(x=None, name=None):
    message = tf.train.Example()
    if x is not None:
        values = message.features.feature["x"]
        kind = values.float_list if isinstance(x, float) else values.int64_list
        kind.value.append(x)
    if name is not None:
        message.features.feature["name"].bytes_list.value.append(name.encode())
    return message


def make_request(method, signature, examples, context=None):
    request = METHODS[method][0]()
    request.model_spec.name = "examples"
    request.model_spec.signature_name = signature
    if context is not None:
        chosen = request.input.example_list_with_context
        chosen.context.CopyFrom(context)
    elif examples is not None:
        chosen = request.input.example_list
        chosen.SetInParent()
    if examples is not None:
        chosen.examples.extend(examples)
    return request


@pytest.fixture
def ask(call):
    """`ask("Classify", "scores", [example(0.5)])`: the answer, or (code name, text)."""

    def send(method, signature, examples, context=None):
        request = make_request(method, signature, examples, context)
        return call(f"PredictionService/{method}", request, METHODS[method][1])

    return send


def pairs(answer):
    return [[(c.label, c.score) for c in row.classes] for row in answer.result.classifications]


def test_classify(ask):
    """reply | per example a list of `(label, score)`"""
    answer = ask("Classify", "classify", [example(0.25, "é"), example(0.5)])
    assert pairs(answer) == [[("é", 0.25), ("other", 0.75)], [("nobody", 0.5), ("other", 0.5)]]
    spec = answer.model_spec
    assert (spec.name, spec.version.value, spec.signature_name) == ("examples", 1, "classify")


def test_classify_without_classes_or_scores(ask):
    """reply | no classes -> empty labels, no scores -> 0"""
    assert pairs(ask("Classify", "scores", [example(0.25)])) == [[("", 0.25), ("", 0.75)]]
    assert pairs(ask("Classify", "classes", [example(0.25)])) == [[("nobody", 0), ("other", 0)]]


@pytest.mark.parametrize("signature", ["regress", "column"])
def test_regress(ask, signature):
    """reply | one value per example; float32 `[n]` or `[n,1]`"""
    answer = ask("Regress", signature, [example(0.25), example(0.5)])
    assert [item.value for item in answer.result.regressions] == [2.5, 5.0]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", ["S", ""])
def test_signature_is_missing(ask, method, name):
    """signature missing | INVALID_ARGUMENT `No signature was found with the name: S`"""
    expected = f"No signature was found with the name: {name or 'serving_default'}"
    assert ask(method, name, [example(0.5)]) == ("INVALID_ARGUMENT", expected)


@pytest.mark.parametrize(
    ("method", "signature", "text"),
    [
        ("Classify", "two_inputs", "Expected one input Tensor."),
        ("Classify", "other_inputs", "No classification inputs found in SignatureDef: inputs {"),
        ("Classify", "three_outputs", "Expected one or two output Tensors, found 3"),
        (
            "Classify",
            "regress",
            "Expected classification signature outputs to contain at least one of "
            '"classes" or "scores". Signature was: inputs {',
        ),
        ("Regress", "two_inputs", "Expected one input Tensor."),
        ("Regress", "two_outputs", "Expected one output Tensor."),
        ("Regress", "other_outputs", "No regression outputs found in SignatureDef: inputs {"),
    ],
)
def test_signature_of_another_kind(ask, method, signature, text):
    """signature inputs: exactly one, named `inputs`; outputs: `classes`, `scores`; `outputs`"""
    code, message = ask(method, signature, [example(0.5)])
    assert code == "INVALID_ARGUMENT" and message.startswith(text)


def test_regression_input_of_another_name(models, toys, tmp_path):
    """signature inputs | same, `No regression inputs found...`"""
    spec = toys.spec("examples", None, dtype="string")
    function = toys.signature(lambda examples: {"outputs": tf.zeros(1)}, spec)
    toys.save(tmp_path, {"serving_default": function})
    request = make_request("Regress", "", [example(0.5)])
    with pytest.raises(ServingError, match="INVALID_ARGUMENT: No regression inputs found"):
        Servable("x", 1, tmp_path).regress(request)


@pytest.mark.parametrize(
    ("method", "signature", "text"),
    [
        ("Classify", "flat_scores", "Expected Tensor shape: [batch_size num_classes] but got [2]"),
        ("Classify", "double_scores", "Expected scores Tensor of DT_FLOAT. Got: DT_DOUBLE"),
        ("Classify", "number_classes", "Expected classes Tensor of DT_STRING. Got: DT_FLOAT"),
        ("Classify", "short", "Expected classes output batch size of 2. Got: 1"),
        (
            "Classify",
            "uneven",
            "Tensors class and score should match in dim_size(1). Got 2 vs. 1",
        ),
        (
            "Regress",
            "square",
            "Expected output Tensor shape to be either [batch_size] or [batch_size, 1] "
            "but got [2,2]",
        ),
        (
            "Regress",
            "long_outputs",
            "Input batch size did not match output batch size: 2 vs. 7",
        ),
        ("Regress", "double_outputs", "Expected output Tensor of DT_FLOAT.  Got: DT_DOUBLE"),
    ],
)
def test_outputs_are_checked(ask, method, signature, text):
    """output check | n = examples, equal k; else INVALID_ARGUMENT"""
    assert ask(method, signature, [example(0.5)] * 2) == ("INVALID_ARGUMENT", text)


def test_a_context_counts_for_every_example(models):
    """`--max_tensor_bytes` is of what the model takes, not of the message."""
    request = make_request("Classify", "classify", [example()] * 50, example(0.5, "n" * 1000))
    options = ServerOptions(max_tensor_bytes=50_000)
    servable = Servable("examples", 1, models / "examples" / "1", options=options)
    with pytest.raises(ServingError, match="at most max_tensor_bytes=50000. Received: 51"):
        servable.classify(request)


def test_examples_with_context(ask):
    """context bytes followed by each example's bytes (so an example's own feature wins)"""
    context = example(0.25, "context")
    answer = ask("Classify", "classify", [example(), example(0.5), example(name="own")], context)
    assert [row[0] for row in pairs(answer)] == [
        ("context", 0.25),
        ("context", 0.5),
        ("own", 0.25),
    ]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(("examples", "context"), [(None, None), ([], None), ([], example(0.5))])
def test_no_examples(ask, method, examples, context):
    """Neither set, or no examples -> INVALID_ARGUMENT `Input is empty.`"""
    signature = method.lower()
    assert ask(method, signature, examples, context) == ("INVALID_ARGUMENT", "Input is empty.")


@pytest.mark.parametrize(
    ("sent", "text"),
    [(example(), "x (data type: float) is required"), (example(1), "Data types don't match")],
    ids=["missing required feature", "feature of another type"],
)
def test_examples_that_do_not_fit(ask, sent, text):
    """INVALID_ARGUMENT from ParseExample"""
    code, message = ask("Regress", "regress", [sent])
    assert code == "INVALID_ARGUMENT" and text in message and "function_node" not in message


def test_method_name_check(models):
    """With the method-name check on: `Expected classification signature method_name to be ...`"""
    options = ServerOptions(enable_signature_method_name_check=True)
    servable = Servable("examples", 1, models / "examples" / "1", options=options)
    servable.classify(make_request("Classify", "classify", [example(0.5)]))
    expected = (
        "Expected classification signature method_name to be tensorflow/serving/classify. "
        "Was: tensorflow/serving/predict"
    )
    with pytest.raises(ServingError, match=expected):
        servable.classify(make_request("Classify", "uneven", [example(0.5)]))
    servable.regress(make_request("Regress", "regress", [example(0.5)]))
    expected = "regression signature method_name to be tensorflow/serving/regress. Was: .*classify"
    with pytest.raises(ServingError, match=expected):
        servable.regress(make_request("Regress", "scores", [example(0.5)]))


def test_model_comes_first(call):
    request = make_request("Classify", "no such", None)
    request.model_spec.name = "x"
    answer = call("PredictionService/Classify", request, ClassificationResponse)
    assert answer == ("NOT_FOUND", "Servable not found for request: Latest(x)")
