"""SERVING.md 15: a TensorFlow Serving client of other people works unchanged, given a version."""

import numpy as np
import pytest

ovmsclient = pytest.importorskip("ovmsclient")

INPUTS = {
    "a": np.array([[5, 6], [1, 1]], np.float32),
    "b": np.array([[1, 2], [0, 0]], np.float32),
}
DIFFERENCE = [[3.0, 2.0], [1.0, 1.0]]


@pytest.fixture(scope="module", params=["grpc", "rest"])
def client(server, request):
    if request.param == "grpc":
        return ovmsclient.make_grpc_client(server.address)
    return ovmsclient.make_http_client(f"localhost:{server.rest_api_port}")


def test_predict(client):
    answer = client.predict(INPUTS, "pair", model_version=1)
    np.testing.assert_array_equal(answer, DIFFERENCE)


def test_predict_with_several_outputs_and_strings(client):
    answer = client.predict({"sentences": ["a b", "É"]}, "text", model_version=1)
    assert set(answer) == {"upper", "length", "words_bytes"}
    assert answer["length"].tolist() == [3, 2]
    upper = [word.decode() if isinstance(word, bytes) else word for word in answer["upper"]]
    assert upper == ["A B", "É"]


def test_status(client):
    (status,) = client.get_model_status("pair", model_version=1).values()
    assert status["state"] == "AVAILABLE" and status["error_code"] == 0


def test_metadata(client):
    metadata = client.get_model_metadata("pair", model_version=1)
    if "model_spec" in metadata:  # over REST it hands snake_case over untouched
        assert metadata["model_spec"]["version"] == "1"
        signature = metadata["metadata"]["signature_def"]["signature_def"]["serving_default"]
        assert set(signature["inputs"]) == {"a", "b"}
    else:
        assert metadata["model_version"] == 1
        assert metadata["inputs"]["a"] == {"shape": [-1, 2], "dtype": "DT_FLOAT"}


def test_its_default_version_0_is_not_found_as_there(client):
    with pytest.raises(ovmsclient.tfs_compat.base.errors.ModelNotFoundError, match="pair, 0"):
        client.predict(INPUTS, "pair")


def test_its_errors_are_of_its_own_kinds(client):
    with pytest.raises(ovmsclient.tfs_compat.base.errors.InvalidInputError):
        client.predict({"a": INPUTS["a"]}, "pair", model_version=1)
