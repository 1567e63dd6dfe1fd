"""Requests over gRPC that run together: who waits, and what the others notice of one another."""

import time

import grpc
import numpy as np
import pytest

from polysemy.serving.protos import PredictResponse

PREDICT = "/tensorflow.serving.PredictionService/Predict"
WAIT = 5.0  # seconds that a batch waits for more


@pytest.fixture(scope="module")
def predict(models, tmp_path_factory, channel_to):
    """Asks a server with one thread for requests, whose batches have four rows."""
    parameters = tmp_path_factory.mktemp("batching") / "batching.config"
    parameters.write_text(
        f"max_batch_size {{ value: 4 }} batch_timeout_micros {{ value: {WAIT * 1e6:.0f} }}"
    )
    flags = {"enable_batching": True, "batching_parameters_file": str(parameters)}
    with channel_to(models / "unbatchable", grpc_max_threads=1, **flags) as channel:
        yield channel.unary_unary(PREDICT)


@pytest.fixture
def ask(predict, asking):
    """`ask(value, width=2, rows=1)`: the future of an answer."""

    def send(value, width=2, rows=1, timeout=60.0):
        x = np.full((rows, width), value, "float32")
        request = asking["predict_request"]("unbatchable", "rows", x=x)
        return predict.future(request.SerializeToString(), timeout=timeout)

    return send


def answer(future):
    """(doubled values, rows that were run together)."""
    outputs = PredictResponse.FromString(future.result()).outputs
    return list(outputs["y"].float_val), list(outputs["rows"].int_val)


def test_waiting_for_a_batch_takes_no_thread(ask):
    start = time.monotonic()
    futures = [ask(value) for value in range(8)]
    for value, future in enumerate(futures):
        assert answer(future) == ([2 * value] * 2, [4])
    assert time.monotonic() - start < WAIT


def test_one_who_leaves_is_no_harm_to_the_others(ask):
    leaving = ask(1, timeout=0.3)
    assert leaving.exception().code() == grpc.StatusCode.DEADLINE_EXCEEDED
    staying = [ask(value) for value in (2, 3)]
    gone = ask(4)
    gone.cancel()
    # The batch is full with the one that has gone, or closed by the first that has no room.
    staying += [ask(5, rows=2), ask(6, rows=2)]
    values = [answer(future)[0][:2] for future in staying]
    assert values == [[4, 4], [6, 6], [10, 10], [12, 12]]


def test_a_mistake_is_its_own(ask):
    """Inputs that are no rows are refused before they could join the others."""
    good = [ask(value) for value in range(3)]
    request = ask(9, rows=5)  # more than a batch may have
    assert request.exception().code() == grpc.StatusCode.INVALID_ARGUMENT
    good += [ask(3)]
    assert [answer(future)[0] for future in good] == [[0, 0], [2, 2], [4, 4], [6, 6]]
