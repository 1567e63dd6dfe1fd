"""Section 11 of the protocol, batching: one test a row, quoted as its docstring."""

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from google.protobuf import text_format

from polysemy.serving.errors import ServingError
from polysemy.serving.server.config_protos import BatchingParameters
from polysemy.serving.server.options import ServerOptions
from polysemy.serving.server.servable import Servable

# Waits long enough that requests sent together always meet, unless the batch is full before.
TOGETHER = "batch_timeout_micros { value: 100000 } num_batch_threads { value: 2 } "


def sized(size, *allowed):
    rows = "".join(f"allowed_batch_sizes: {number} " for number in allowed)
    return TOGETHER + f"max_batch_size {{ value: {size} }} " + rows


@pytest.fixture
def load(models):
    """`load("text", parameters)`: a servable with parameters in the file's syntax."""

    def make(name, parameters):
        parsed = text_format.Parse(parameters, BatchingParameters())
        return Servable(name, 1, models / name / "1", parsed)

    return make


def send(servable, signature, *requests) -> list[Any]:
    """Sends requests at once; returns arrays by output name, or the error, of each."""

    def run(inputs):
        barrier.wait()
        try:
            return servable.run(signature, inputs)
        except ServingError as error:
            return error

    barrier = threading.Barrier(len(requests))
    with ThreadPoolExecutor(len(requests)) as pool:
        return list(pool.map(run, requests))


def matrix(*shape, start=1):
    return {"x": np.arange(start, start + np.prod(shape), dtype="float32").reshape(shape)}


def test_requests_run_together(load):
    """`max_batch_size` rows at most, each request gets its own back"""
    servable = load("unbatchable", sized(3))
    one, other = matrix(1, 2), matrix(2, 2, start=7)
    for answer, sent in zip(send(servable, "rows", one, other), (one, other), strict=True):
        np.testing.assert_array_equal(answer["y"], sent["x"] * 2)
        assert set(answer["rows"]) == {3}


def test_strings_batch(load):
    servable = load("text", sized(2))
    one, other = send(
        servable,
        "serving_default",
        {"sentences": np.array(["a"], object)},
        {"sentences": np.array(["é b c"], object)},
    )
    assert one["upper"].tolist() == [b"A"] and other["length"].tolist() == [6]
    # The words were split together, so both are as wide as the longer one.
    assert one["words_bytes"].tolist() == [[b"a", b"", b""]]


def test_allowed_batch_sizes_fill_up(load):
    """short batches are padded with copies of a real row and the padding cut off"""
    servable = load("unbatchable", sized(8, 4, 8))
    (answer,) = send(servable, "rows", matrix(3, 2))
    assert answer["rows"].tolist() == [4, 4, 4] and answer["y"].shape == (3, 2)
    copies = load("pair", sized(4, 4))
    (answer,) = send(
        copies, "serving_default", {"a": np.ones((1, 2), "f"), "b": np.ones((1, 2), "f")}
    )
    assert answer["difference"].tolist() == [[-1, -1]]


def test_too_many_rows(load):
    """rows > max_batch_size (no splitting) | INVALID_ARGUMENT `Task size 17 is larger than...`"""
    (error,) = send(load("unbatchable", sized(16)), "rows", matrix(17, 1))
    assert str(error) == (
        "INVALID_ARGUMENT: Task size 17 is larger than maximum input batch size 16"
    )


def test_large_batches_are_split(load):
    """`enable_large_batch_splitting`, `max_execution_batch_size`"""
    splitting = "enable_large_batch_splitting { value: true } "
    execution = "max_execution_batch_size { value: 4 } "
    for allowed in ((), (2, 4)):
        servable = load("unbatchable", sized(16, *allowed) + splitting + execution)
        (answer,) = send(servable, "rows", matrix(9, 1))
        np.testing.assert_array_equal(answer["y"], matrix(9, 1)["x"] * 2)
        assert answer["rows"].tolist() == [4] * 8 + [2 if allowed else 1]


def test_inputs_are_rows(load):
    """scalar input / unequal first dimensions"""
    servable = load("pair", sized(8))
    a, b = np.ones((2, 2), "f"), np.ones((1, 2), "f")
    (error,) = send(servable, "serving_default", {"a": np.float32(1), "b": b})
    assert str(error) == (
        "INVALID_ARGUMENT: Batching Run() input tensors must have at least one dimension"
    )
    (error,) = send(servable, "serving_default", {"a": a, "b": b})
    assert str(error) == (
        "INVALID_ARGUMENT: Batching Run() input tensors must have equal 0th-dimension size"
    )


def test_unlike_shapes(load):
    """unlike inner shapes in one batch, padding off | FAILED_PRECONDITION for those tasks"""
    servable = load("unbatchable", sized(2))
    for error in send(servable, "rows", matrix(1, 2), matrix(1, 3)):
        assert str(error).startswith("FAILED_PRECONDITION: Tensors with the same name from diff")
    (answer,) = send(servable, "rows", matrix(1, 3))
    assert answer["y"].shape == (1, 3)


def test_unlike_shapes_are_padded(load):
    """`pad_variable_length_inputs`: with the request's own first value"""
    servable = load("unbatchable", sized(3) + "pad_variable_length_inputs: true")
    one, other = send(servable, "rows", matrix(1, 3), matrix(2, 2, start=7))
    assert one["y"].tolist() == [[2, 4, 6]]
    assert other["y"].tolist() == [[14, 16, 14], [18, 20, 14]]
    assert set(one["rows"]) == {3}


def test_outputs_without_rows(load):
    """output without batch dimension, or of another size | FAILED_PRECONDITION"""
    servable = load("unbatchable", sized(8))
    (error,) = send(servable, "scalar", matrix(2, 2))
    assert str(error) == "FAILED_PRECONDITION: Batched output tensor has 0 dimensions"
    (error,) = send(servable, "twice", matrix(2, 2))
    assert str(error).startswith(
        "FAILED_PRECONDITION: Batched output tensor's 0th dimension does not equal the sum of "
        "the 0th dimension sizes of the input tensors"
    )


def test_full_queue(load):
    """queue full | UNAVAILABLE `The batch scheduling queue to which this task was submitted...`"""
    servable = load(
        "failing",
        "max_batch_size { value: 1 } max_enqueued_batches { value: 1 } "
        "num_batch_threads { value: 1 }",
    )
    servable.run("work", {"steps": np.array([1], "int32")})
    answers = send(servable, "work", *[{"steps": np.array([20_000], "int32")}] * 6)
    errors = [answer for answer in answers if isinstance(answer, ServingError)]
    assert errors and len(errors) < 6
    assert str(errors[0]).startswith(
        "UNAVAILABLE: The batch scheduling queue to which this task was submitted is full"
    )


def test_queue_per_output_set(load):
    """One queue per (input set, output set)"""
    servable = load("unbatchable", sized(2))
    requests = [matrix(1, 2), matrix(1, 2)]
    assert {int(answer["rows"][0]) for answer in send(servable, "rows", *requests)} == {2}
    scalar = send(servable, "twice", *requests)
    assert all("size: 4; batch size: 2" in error.message for error in scalar)


def test_examples_batch(load):
    servable = load("examples", sized(8))
    example = tf.train.Example()
    example.features.feature["x"].float_list.value.append(0.5)
    inputs = {"inputs": np.array([example.SerializeToString()] * 2, object)}
    (answer,) = send(servable, "regress", inputs)
    assert answer["outputs"].tolist() == [5, 5]


def test_no_rows_and_no_inputs_run_alone(load):
    (answer,) = send(load("unbatchable", sized(8, 8)), "rows", matrix(0, 2))
    assert answer["y"].shape == (0, 2)
    (answer,) = send(load("pair", sized(8)), "constant", {})
    assert answer["answer"] == 42


@pytest.mark.parametrize(
    ("parameters", "text"),
    [
        (sized(8, 4, 6), "The last of `allowed_batch_sizes` must be max_batch_size"),
        (sized(8, 8, 4), "`allowed_batch_sizes` must be positive and increase"),
        (sized(0), "`max_batch_size` must be positive. Received: max_batch_size=0"),
        ("batch_timeout_micros { value: -1 }", "`batch_timeout_micros` must be at least 0"),
        (sized(2**31), "`max_batch_size` must be at most 2147483647. Received: .*=2147483648"),
        ("batch_timeout_micros { value: 2147483648 }", "`batch_timeout_micros` must be at most"),
        ("max_enqueued_batches { value: 2147483648 }", "`max_enqueued_batches` must be at most"),
        (
            sized(8) + "enable_large_batch_splitting { value: true } "
            "max_execution_batch_size { value: 9 }",
            "`max_execution_batch_size` must be between 1 and max_batch_size",
        ),
    ],
)
def test_wrong_parameters_fail_the_load(load, parameters, text):
    """repeated `allowed_batch_sizes` (increasing, last = max_batch_size, else the load fails)"""
    with pytest.raises(ValueError, match=text):
        load("pair", parameters)


class Batches:
    """Counts as the server's metrics do."""

    def __init__(self):
        self.batches, self.waits = [], []

    def batch(self, model, input_batch_size, processed_batch_size):
        self.batches.append((model, input_batch_size, processed_batch_size))

    def queued(self, seconds, thread_pool_name=""):
        self.waits.append((round(seconds, 1), thread_pool_name))

    def runtime(self, *_):
        pass


def test_batches_are_counted(models):
    """Section 12: queuing_latency, padding_size, input_batch_size, processed_batch_size"""
    name = 'thread_pool_name { value: "pool" } '
    splitting = "enable_large_batch_splitting { value: true } "
    for extra, sizes in (
        (sized(8, 4, 8), [(3, 4)]),
        (sized(8, 2) + splitting + "max_execution_batch_size { value: 2 }", [(2, 2), (1, 2)]),
        (sized(8) + "pad_variable_length_inputs: true", [(3, 3)]),
    ):
        batches = Batches()
        servable = Servable(
            "unbatchable",
            1,
            models / "unbatchable" / "1",
            text_format.Parse(name + extra, BatchingParameters()),
            ServerOptions(monitoring_config_file="monitoring.config"),
            batches,
        )
        answers = send(servable, "rows", matrix(1, 2), matrix(2, 2))
        assert sorted(len(answer["y"]) for answer in answers) == [1, 2]
        assert sorted(batches.batches, reverse=True) == [("unbatchable", *row) for row in sizes]
        assert len(batches.waits) == 2 and {pool for _, pool in batches.waits} == {"pool"}
        assert all(0 <= wait <= 1 for wait, _ in batches.waits)
