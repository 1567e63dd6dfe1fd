"""The bytes of an answer are those of the message that clients read."""

import numpy as np
import pytest
import tensorflow as tf

from polysemy.serving.protos import ModelSpec, PredictResponse
from polysemy.serving.server import predict_answer
from polysemy.serving.server.predict_answer import PredictAnswer
from polysemy.serving.server.tensors import as_array, to_proto

SPEC = ModelSpec(name="m", version={"value": 2**40}, signature_name="s")
OUTPUTS = {
    **{
        name: np.arange(6).astype(tf.as_dtype(name).as_numpy_dtype).reshape(2, 3)
        for name in ("float32", "float64", "float16", "bfloat16", "int8", "int64", "uint64", "bool")
    },
    "complex": np.array([1 + 2j], "complex64"),
    "negative": np.array([-1, 0, 2**31 - 1], "int32"),
    "strings é": np.array([b"a", b"", "é".encode(), b"\x00" * 300], object),
    "a scalar": np.float32(1.5),
    "empty": np.zeros((0, 4), "float32"),
    "turned": np.arange(6, dtype="float32").reshape(2, 3).T,
    "a tensor": as_array(tf.ones([2, 200])),
}


@pytest.mark.parametrize("as_content", [False, True])
def test_every_dtype_as_the_message_has_it(as_content):
    answer = PredictAnswer(SPEC, OUTPUTS, as_content)
    expected = PredictResponse(model_spec=SPEC)
    for alias, array in OUTPUTS.items():
        to_proto(array, expected.outputs[alias], as_content)
    assert answer.message == expected
    for alias, array in OUTPUTS.items():
        np.testing.assert_array_equal(tf.make_ndarray(answer.message.outputs[alias]), array)


def test_no_outputs():
    assert PredictAnswer(SPEC, {}).message == PredictResponse(model_spec=SPEC)


def test_one_that_no_message_can_hold(monkeypatch):
    monkeypatch.setattr(predict_answer, "MAX_BYTES", 100)
    assert PredictAnswer(SPEC, {"y": np.zeros(10, "float32")})
    with pytest.raises(ValueError, match=r"`outputs` must fit into a message of 100 bytes"):
        PredictAnswer(SPEC, {"y": np.zeros(25, "float32")})
