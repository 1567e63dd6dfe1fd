"""How many requests may wait, and what the others are told; who goes on being answered."""

import json
import threading
import time

import grpc
import numpy as np
import pytest

from polysemy.serving.protos import GetModelStatusRequest
from polysemy.serving.server.admission import RequestQueue

PREDICT = "/tensorflow.serving.PredictionService/Predict"
STATUS = "/tensorflow.serving.ModelService/GetModelStatus"


@pytest.fixture(scope="module")
def log(tmp_path_factory):
    return tmp_path_factory.mktemp("log") / "access.jsonl"


@pytest.fixture(scope="module")
def small(models, log, channel_to):
    """A server of one thread, where one request may wait."""
    flags = {"grpc_max_threads": 1, "max_queued_requests": 1, "access_log": str(log)}
    with channel_to(models / "failing", **flags) as channel:
        yield channel


def code(call):
    error = call.exception()
    return None if error is None else error.code().name


def test_requests_past_the_bound_are_refused(small, asking, log):
    """Requests queue with a bound and are refused past it: UNAVAILABLE, at once."""
    predict = small.unary_unary(PREDICT)
    warm = asking["predict_request"]("failing", "work", steps=np.array([1], "int32"))
    predict(warm.SerializeToString(), timeout=20)
    request = asking["predict_request"]("failing", "work", steps=np.array([10**9], "int32"))
    raw = request.SerializeToString()
    running = [predict.future(raw, timeout=20) for _ in range(2)]
    refused = predict.future(raw, timeout=20)
    while not any(call.done() for call in [*running, refused]):
        time.sleep(0.01)
    calls = [*running, refused]
    done = [call for call in calls if call.done()]
    assert [code(call) for call in done] == ["UNAVAILABLE"]
    assert "queue of requests is full" in done[0].exception().details()
    while not (lines := [json.loads(line) for line in log.read_text().splitlines()][1:]):
        time.sleep(0.01)
    assert [(line["model"], line["status"]) for line in lines] == [("failing", "UNAVAILABLE")]
    # Who asks for the status does not wait for those who are being answered.
    status = GetModelStatusRequest()
    status.model_spec.name = "failing"
    assert small.unary_unary(STATUS)(status.SerializeToString(), timeout=10)
    for call in calls:
        call.cancel()
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:  # the two have left, and there is room again
        try:
            assert predict(warm.SerializeToString(), timeout=10)
            while not log.read_text().count('"OK"') == 2:  # the next test counts lines
                time.sleep(0.01)
            return
        except grpc.RpcError as error:
            assert error.code() == grpc.StatusCode.UNAVAILABLE
    raise AssertionError("the queue stayed full")


def test_deadline_that_passes_in_the_queue(small, asking, log):
    """A request whose deadline has passed is not run: DEADLINE_EXCEEDED"""
    predict = small.unary_unary(PREDICT)
    request = asking["predict_request"]("failing", "work", steps=np.array([10**9], "int32"))
    raw = request.SerializeToString()
    before = len(log.read_text().splitlines())
    first = predict.future(raw, timeout=0.2)
    second = predict.future(raw, timeout=0.1)
    assert [code(first), code(second)] == ["DEADLINE_EXCEEDED"] * 2
    until = time.monotonic() + 10
    while len(lines := log.read_text().splitlines()[before:]) < 2 and time.monotonic() < until:
        time.sleep(0.01)
    assert [json.loads(line)["status"] for line in lines] == ["DEADLINE_EXCEEDED"] * 2


def test_queue_counts_what_runs_and_waits():
    queue = RequestQueue(threads=1, max_waiting=1, name="test")
    started, finish = threading.Event(), threading.Event()
    running = queue.submit(lambda: (started.set(), finish.wait()))
    started.wait()
    assert not queue.full
    waiting = queue.submit(lambda: 1 / 0)
    assert queue.full
    finish.set()
    running.result()
    with pytest.raises(ZeroDivisionError):
        waiting.result()
    assert not queue.full
    queue.shutdown()
    with pytest.raises(RuntimeError):
        queue.submit(int)
    assert not queue.full


def test_queue_has_room_again_when_one_that_waits_is_cancelled():
    queue = RequestQueue(threads=1, max_waiting=1, name="test")
    finish = threading.Event()
    running, waiting = queue.submit(finish.wait), queue.submit(int)
    assert queue.full and waiting.cancel()
    assert not queue.full
    finish.set()
    assert running.result()
    queue.shutdown()
