"""Section 3, Predict: what flags change, deadlines, and clients that go away."""

import threading
import time

import grpc
import numpy as np
import pytest
import tensorflow as tf

from polysemy.serving.errors import ServingError
from polysemy.serving.server.cancellation import Cancellation
from polysemy.serving.server.options import ServerOptions
from polysemy.serving.server.servable import Servable

A = np.array([[1.0, 2.0]], "float32")


def test_method_name_is_not_checked_by_default(models, asking):
    """method_name | not checked unless `--enable_signature_method_name_check`; INTERNAL"""
    options = ServerOptions(enable_signature_method_name_check=True)
    servable = Servable("pair", 1, models / "pair" / "1", options=options)
    request = asking["predict_request"](a=A, b=A)
    assert list(servable.predict(request).message.outputs["difference"].float_val) == [-1, -2]
    servable.signature_def("").method_name = "tensorflow/serving/other"
    with pytest.raises(ServingError, match="INTERNAL: Expected prediction signature method_name"):
        servable.predict(request)
    lenient = Servable("pair", 1, models / "pair" / "1")
    lenient.signature_def("").method_name = "tensorflow/serving/other"
    assert lenient.predict(request).message.outputs


def test_reply_as_tensor_content(models, asking):
    """reply | `--enable_serialization_as_tensor_content` turns that round"""
    options = ServerOptions(enable_serialization_as_tensor_content=True)
    servable = Servable("pair", 1, models / "pair" / "1", options=options)
    proto = servable.predict(asking["predict_request"](a=A, b=A)).message.outputs["difference"]
    assert not proto.float_val and len(proto.tensor_content) == 8
    np.testing.assert_array_equal(tf.make_ndarray(proto), -A)
    text = Servable("text", 1, models / "text" / "1", options=options)
    answer = text.predict(asking["predict_request"](sentences=["a"])).message
    assert list(answer.outputs["upper"].string_val) == [b"A"]


def test_large_tensors_are_refused(models, asking):
    """Decoded tensors have a limit of their own: few values may claim a large shape."""
    options = ServerOptions(max_tensor_bytes=1000)
    servable = Servable("text", 1, models / "text" / "1", options=options)
    for size, fits in ((40, True), (50, False)):
        proto = tf.make_tensor_proto([["a"]])
        proto.tensor_shape.Clear()
        proto.tensor_shape.dim.add(size=size)
        request = asking["predict_request"](sentences=proto)
        if fits:
            assert len(servable.predict(request).message.outputs["upper"].string_val) == size
        else:
            with pytest.raises(ServingError, match="tensor parsing error: sentences"):
                servable.predict(request)


def test_passed_deadline_is_not_run(models):
    """run | DEADLINE_EXCEEDED"""
    servable = Servable("failing", 1, models / "failing" / "1")
    work = {"steps": np.array([10**9], "int32")}
    with pytest.raises(ServingError, match="DEADLINE_EXCEEDED"):
        servable.run("work", work, Cancellation(time.monotonic() - 1))


@pytest.mark.parametrize(("after", "code"), [(60, "CANCELLED"), (0.05, "DEADLINE_EXCEEDED")])
def test_abandoned_work_stops(models, after, code):
    """run | client deadline becomes the session timeout, so abandoned work stops"""
    servable = Servable("failing", 1, models / "failing" / "1")
    servable.run("work", {"steps": np.array([1], "int32")})
    cancellation = Cancellation(time.monotonic() + after)
    timer = threading.Timer(0.1, cancellation.cancel)
    timer.start()
    with pytest.raises(ServingError, match=code):
        servable.run("work", {"steps": np.array([10**9], "int32")}, cancellation)


def test_cancelled_before_it_began(models):
    servable = Servable("pair", 1, models / "pair" / "1")
    cancellation = Cancellation()
    cancellation.cancel()
    with pytest.raises(ServingError, match="CANCELLED: The request was cancelled"):
        servable.run("serving_default", {"a": A, "b": A}, cancellation)


def test_client_that_goes_away_frees_its_thread(server, asking):
    """A call of 10^9 steps ends with its client, on a server of few threads."""
    request = asking["predict_request"]("failing", "work", steps=np.array([10**9], "int32"))
    raw = request.SerializeToString()
    with grpc.insecure_channel(server.address) as channel:
        stub = channel.unary_unary("/tensorflow.serving.PredictionService/Predict")
        calls = [stub.future(raw, timeout=20) for _ in range(40)]
        time.sleep(0.2)
        for item in calls:
            item.cancel()
        with pytest.raises(grpc.RpcError, check=lambda e: "DEADLINE" in e.code().name):
            stub(raw, timeout=0.2)
        small = asking["predict_request"](a=A, b=A).SerializeToString()
        assert stub(small, timeout=10)


def test_path_of_the_version_is_not_told(models, asking, tmp_path):
    folder = tmp_path / "secret" / "1"

    def read(name):
        return {"y": tf.io.read_file(tf.strings.join([str(folder), "/", name]))}

    spec = tf.TensorSpec([], tf.string, "name")
    function = tf.function(read).get_concrete_function(name=spec)
    tf.saved_model.save(tf.Module(), str(folder), signatures=function)
    servable = Servable("secret", 1, folder)
    with pytest.raises(ServingError, match="NOT_FOUND") as caught:
        servable.run("serving_default", {"name": np.array(b"nothing")})
    assert "nothing" in caught.value.message and "secret" not in caught.value.message
