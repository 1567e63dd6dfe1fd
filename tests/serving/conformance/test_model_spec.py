"""SERVING.md section 2, row by row: which version a request means."""

import numpy as np
import pytest

from polysemy.serving.protos import PredictRequest, PredictResponse

BIG = 2**63 - 1
LATEST = "Servable not found for request: Latest({})"
SPECIFIC = "Servable not found for request: Specific({}, {})"
LABEL = "Unrecognized servable version label: "


@pytest.fixture(scope="module")
def lab(models, tmp_path_factory, lifecycle):
    made = lifecycle.Lifecycle(tmp_path_factory.mktemp("specs"), models / "pair" / "1")
    yield made
    made.close()


@pytest.fixture(scope="module")
def address(lab):
    """A server of versions 0, 3 and 5 of `pair`, with a label on 3 and one on an absent version."""
    lab.add(0, 3, 5)
    policy = 'model_version_policy { all {} } version_labels { key: "stable" value: 3 }'
    labels = policy + ' version_labels { key: "canary" value: 9 }'
    options = {"allow_version_labels_for_unavailable_models": True}
    return lab.server(lab.config(text=labels), **options).address


def ask(asking, address, request):
    """The version that answered, or (code, text)."""
    answer = asking["grpc"](address, "PredictionService/Predict", request)
    if isinstance(answer, tuple):
        return answer
    spec = PredictResponse.FromString(answer).model_spec
    assert spec.WhichOneof("version_choice") == "version"  # never a label
    assert (spec.name, spec.signature_name) == ("pair", "serving_default")
    return spec.version.value


@pytest.mark.parametrize(
    ("row", "spec", "expected"),
    [
        ("no model_spec", None, ("INVALID_ARGUMENT", "Missing ModelSpec")),
        ("empty name", {}, ("INVALID_ARGUMENT", "ModelSpec has no name specified.")),
        ("no version choice: largest available", {"name": "pair"}, 5),
        ("no version choice: none", {"name": "x"}, ("NOT_FOUND", LATEST.format("x"))),
        ("version: exactly that one", {"name": "pair", "version": 3}, 3),
        ("presence decides: version 0", {"name": "pair", "version": 0}, 0),
        (
            "not available",
            {"name": "pair", "version": 4},
            ("NOT_FOUND", SPECIFIC.format("pair", 4)),
        ),
        (
            "negative",
            {"name": "pair", "version": -1},
            ("NOT_FOUND", SPECIFIC.format("pair", -1)),
        ),
        (
            "int64 extremes",
            {"name": "pair", "version": BIG},
            ("NOT_FOUND", SPECIFIC.format("pair", BIG)),
        ),
        (
            "int64 extremes, below",
            {"name": "pair", "version": -BIG - 1},
            ("NOT_FOUND", SPECIFIC.format("pair", -BIG - 1)),
        ),
        ("label map lookup", {"name": "pair", "label": "stable"}, 3),
        (
            "unknown label",
            {"name": "pair", "label": "gold"},
            ("INVALID_ARGUMENT", LABEL + "gold"),
        ),
        ("empty label", {"name": "pair", "label": ""}, ("INVALID_ARGUMENT", LABEL)),
        (
            "label of an unknown model",
            {"name": "x", "label": "stable"},
            ("INVALID_ARGUMENT", LABEL + "stable"),
        ),
        (
            "known label on a version that is not loaded",
            {"name": "pair", "label": "canary"},
            ("NOT_FOUND", SPECIFIC.format("pair", 9)),
        ),
        (
            "path traversal in a name",
            {"name": "../pair"},
            ("NOT_FOUND", LATEST.format("../pair")),
        ),
        (
            "a path as a name",
            {"name": "/etc/passwd", "version": 1},
            ("NOT_FOUND", SPECIFIC.format("/etc/passwd", 1)),
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_resolution(asking, model_spec, address, row, spec, expected):
    """ModelSpec resolution, in this order; the response holds the resolved version"""
    ones = np.ones((1, 2), "float32")
    request = asking["predict_request"](a=ones, b=ones)
    request.ClearField("model_spec")
    if spec is not None:
        request.model_spec.CopyFrom(model_spec(**{"name": "", **spec}))
    assert ask(asking, address, request) == expected


def test_of_both_the_last_one_set_wins(asking, address):
    """both: they are one oneof: the last one set wins"""
    ones = np.ones((1, 2), "float32")
    first = asking["predict_request"](a=ones, b=ones)
    first.model_spec.version.value = 5
    second = PredictRequest()
    second.model_spec.version_label = "stable"
    raw = first.SerializeToString() + second.SerializeToString()  # as on the wire: merged
    assert ask(asking, address, PredictRequest.FromString(raw)) == 3
