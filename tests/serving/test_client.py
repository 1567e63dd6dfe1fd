"""The clients: gRPC and REST, waiting and in event loops, against a running server."""

import asyncio
import http.server
import subprocess
import sys
import threading
import time

import grpc
import numpy as np
import pytest

from polysemy.serving import AsyncClient, Client
from polysemy.serving.client_calls import Target, decoded
from polysemy.serving.client_grpc import GrpcProtocol
from polysemy.serving.client_protos import PredictResponse, TensorProto
from polysemy.serving.client_rest import RestProtocol, checked_answer
from polysemy.serving.client_retry import Retry
from polysemy.serving.client_tensors import TensorInfo
from polysemy.serving.errors import ServingError
from polysemy.serving.server import Server

NO_RETRY = Retry(attempts=1)


@pytest.fixture(scope="module")
def server(models):
    with Server(models, port=0, rest_api_port=0) as running:
        yield running


@pytest.fixture(params=["grpc", "rest", "async grpc", "async rest"])
def ask(server, request):
    """Calls a method of one of the four clients."""
    rest = f"http://localhost:{server.rest_api_port}"
    address = rest if "rest" in request.param else server.address

    def call(method, *given, **named):
        if "async" not in request.param:
            with Client(address, retry=NO_RETRY) as client:
                return getattr(client, method)(*given, **named)

        async def run():
            async with AsyncClient(address, retry=NO_RETRY) as client:
                return await getattr(client, method)(*given, **named)

        return asyncio.run(run())

    return call


def test_predict_takes_lists_and_returns_arrays(ask, direct, sentences):
    outputs = ask("predict", "toy", sentences=sentences)
    assert set(outputs) == set(direct)
    for name, value in direct.items():
        assert outputs[name].dtype == value.dtype and outputs[name].shape == value.shape
    np.testing.assert_array_equal(outputs["words"], direct["words"])
    np.testing.assert_allclose(outputs["default"], direct["default"], atol=1e-5)


def test_one_output_keeps_its_name_and_dtype(ask):
    outputs = ask("predict", "toy", {"token_ids": [[1, 0, 3]]}, signature="count", version=3)
    assert outputs["count"].dtype == np.int32 and outputs["count"].tolist() == [2]
    a = np.array([[1.5, np.inf]], np.float32)
    outputs = ask("predict", "plain", {"a": a, "b": np.ones((1, 2), np.float32)})
    assert outputs["difference"].tolist() == [[-0.5, np.inf]]


def test_long_lists_are_cut_and_put_together(ask, direct, sentences):
    whole = ask("predict", "toy", sentences=sentences * 3)
    parts = ask("predict", "toy", sentences=sentences * 3, batch_size=1, max_in_flight=3)
    assert set(parts) == set(whole)
    for name, value in whole.items():
        assert parts[name].dtype == value.dtype and parts[name].shape == value.shape
    np.testing.assert_array_equal(parts["words"], whole["words"])
    np.testing.assert_allclose(parts["sequence_output"], whole["sequence_output"], atol=1e-5)
    some = ask("predict", "toy", sentences=sentences, outputs=["default"], batch_size=3)
    assert list(some) == ["default"]
    for batch_size in None, 3:
        none = ask("predict", "toy", sentences=[], batch_size=batch_size)
        assert none["default"].shape == (0, 4)


def test_metadata_and_status(ask):
    signatures = ask("metadata", "toy")
    assert {"serving_default", "tokens", "ids", "count"} <= set(signatures)
    tokens = signatures["tokens"]["inputs"]
    assert (tokens["sequence_len"].dtype, tokens["sequence_len"].shape) == ("int32", (None,))
    assert (tokens["tokens"].dtype, tokens["tokens"].shape) == ("string", (None, None))
    assert signatures["serving_default"]["outputs"]["default"].dtype == "float32"
    assert not any(info.optional for info in tokens.values())
    assert ask("status", "toy")[3] == "AVAILABLE"


def test_errors_are_one_line_with_the_servers_code(ask, sentences):
    cases = [
        (("nobody",), {}, "NOT_FOUND", "Servable not found"),
        (("toy",), {"version": 9}, "NOT_FOUND", "Servable not found"),
        (("toy",), {"label": "stable"}, "INVALID_ARGUMENT", "Unrecognized servable version label"),
        (("toy",), {"outputs": ["x"]}, "INVALID_ARGUMENT", "output tensor alias not found"),
    ]
    for given, named, code, text in cases:
        with pytest.raises(ServingError, match=f": {code}: .*{text}") as caught:
            ask("predict", *given, sentences=sentences, **named)
        assert caught.value.code.name == code and "\n" not in str(caught.value)
    with pytest.raises(ServingError, match="NOT_FOUND: Could not find any .* of model a:b %$"):
        ask("status", "a:b %")


def test_the_error_of_one_request_among_many_says_its_rows():
    client = Client("localhost:1", retry=NO_RETRY)
    client._transport = flaky = Flaky(grpc.StatusCode.INTERNAL, 9)
    with pytest.raises(ServingError, match="^localhost:1: INTERNAL: rows 0 to 1: away$"):
        client.predict("m", x=[1, 2, 3, 4, 5], batch_size=2, max_in_flight=1)
    assert flaky.calls == 1  # and nothing more is sent


def test_wrong_arguments_are_named_before_anything_is_sent(ask):
    cases = [
        ({"x": [[1], [1, 2]]}, {}, "`x` must be rectangular"),
        ({"x": ["a", 1]}, {}, "`x` must be numbers, bools or strings.*Received: 1 of class int"),
        ({"x": [1]}, {"batch_size": 0}, "`batch_size` must be 1 or more"),
        ({"x": [1], "y": 2}, {"batch_size": 1}, "same number of rows.*'x': 1, 'y': None"),
        ({"x": [1]}, {"max_in_flight": 0}, "`max_in_flight` must be 1 or more"),
        ({"x": [1]}, {"timeout": 0}, "`timeout` must be seconds, above 0"),
        ({"x": [1]}, {"timeout": float("inf")}, "`timeout` must be seconds.*timeout=inf"),
        ({"x": [1]}, {"version": 1, "label": "a"}, "`version` and `label` must not be given"),
        ({"x": [1]}, {"version": 2**63}, "`version` must be an int of 64 bits"),
        ({"x": [1]}, {"x": [1]}, r"must not name an input a second time. Received: \['x'\]"),
    ]
    for inputs, named, message in cases:
        with pytest.raises(ValueError, match=message):
            ask("predict", "nobody", inputs, **named)


def test_what_json_cannot_hold_is_refused_before_anything_is_sent():
    client = Client("http://localhost:1", retry=NO_RETRY)
    with pytest.raises(ValueError, match="`z` must be real .* over REST. Received: dtype=complex"):
        client.predict("m", x=[1], z=[1j])


@pytest.mark.parametrize("address", ["localhost", "http://", "http://a:b", "ftp://a:1", "a b:1"])
def test_wrong_addresses_are_named(address):
    for kind in (Client, AsyncClient):
        with pytest.raises(ValueError, match="`address` must be HOST:PORT"):
            kind(address)


@pytest.mark.parametrize("address", ["localhost:1", "http://localhost:1"])
def test_nobody_listens(address):
    with Client(address, retry=Retry(attempts=2, first=0.01)) as client:
        with pytest.raises(ServingError, match=f"^{address}: UNAVAILABLE: "):
            client.predict("toy", sentences=["a"])

    async def ask():
        async with AsyncClient(address, retry=Retry(attempts=2, first=0.01)) as client:
            await client.predict("toy", sentences=["a"])

    with pytest.raises(ServingError, match=f"^{address}: UNAVAILABLE: "):
        asyncio.run(ask())


class Flaky:
    """A transport that fails a few times, then answers nothing."""

    def __init__(self, code, failures):
        self.code, self.failures, self.calls, self.waiting = code, failures, 0, 0
        self.most, self.lock = 0, threading.Lock()

    def send(self, call, timeout):
        with self.lock:
            self.calls += 1
            self.waiting += 1
            self.most = max(self.most, self.waiting)
        time.sleep(0.002)
        with self.lock:
            self.waiting -= 1
        if self.calls <= self.failures:
            raise ServingError(self.code, "away", "localhost:1")
        return b""


def test_only_unavailable_is_asked_again():
    client = Client("localhost:1", retry=Retry(attempts=4, first=0.001))
    for code, failures, calls in [
        (grpc.StatusCode.UNAVAILABLE, 3, 4),
        (grpc.StatusCode.UNAVAILABLE, 9, 4),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, 1, 1),
        (grpc.StatusCode.DEADLINE_EXCEEDED, 1, 1),
        (grpc.StatusCode.INTERNAL, 1, 1),
    ]:
        client._transport = flaky = Flaky(code, failures)
        if calls > failures:
            assert client.predict("m", x=[1]) == {}
        else:
            with pytest.raises(ServingError, match=f"{code.name}: away"):
                client.predict("m", x=[1])
        assert flaky.calls == calls


def test_retries_end_at_the_deadline():
    client = Client("localhost:1", timeout=0.05, retry=Retry(attempts=99, first=0.02))
    client._transport = flaky = Flaky(grpc.StatusCode.UNAVAILABLE, 99)
    with pytest.raises(ServingError, match="UNAVAILABLE"):
        client.status("m")
    assert 2 <= flaky.calls < 6


def test_requests_in_flight_are_bounded():
    client = Client("localhost:1")
    client._transport = flaky = Flaky(grpc.StatusCode.UNAVAILABLE, 0)
    client.predict("m", x=list(range(40)), batch_size=2, max_in_flight=3)
    assert flaky.calls == 20 and 2 <= flaky.most <= 3


def test_pauses_grow_and_differ():
    retry = Retry(attempts=6, first=0.1, longest=0.5)
    for pause, whole in zip(retry.pauses(), [0.1, 0.2, 0.4, 0.5, 0.5], strict=True):
        assert whole / 2 <= pause <= whole
    assert list(retry.pauses()) != list(retry.pauses())
    with pytest.raises(ValueError, match="`attempts` must be 1 or more"):
        Retry(attempts=0)


def _nested(depth):
    return b'{"outputs": ' + b"[" * depth + b"]" * depth + b"}"


def _tensor(*sizes):
    """An answer of a few bytes that claims to be large: its one value repeats."""
    proto = TensorProto(dtype=1, float_val=[1.0])
    for size in sizes:
        proto.tensor_shape.dim.add(size=size)
    return PredictResponse(outputs={"y": proto}).SerializeToString()


@pytest.mark.parametrize(
    ("protocol", "answer"),
    [
        (RestProtocol(), b'{"outputs": [300]}'),  # beyond the dtype
        (RestProtocol(), _nested(100_000)),
        (RestProtocol(), b"<html>"),
        (GrpcProtocol(), _tensor(2**50)),
        (GrpcProtocol(), _tensor(*[2**62] * 100)),
    ],
)
def test_answers_that_no_server_should_give_are_errors_of_one_kind(protocol, answer):
    signatures = {"serving_default": {"inputs": {}, "outputs": {"y": TensorInfo("int8", None)}}}
    call = protocol.predict(Target("m"), {}, None, signatures)
    with pytest.raises(ServingError, match="^a: INTERNAL: the answer cannot be read: "):
        decoded(call, answer, "a")


def test_errors_may_be_anything():
    for body in (b"", b"[" * 100_000, b"\xff", b'{"error": null}', b"[]"):
        with pytest.raises(ServingError, match="UNAVAILABLE"):
            checked_answer(503, body, "a")


@pytest.mark.parametrize("kind", [Client, AsyncClient])
def test_redirects_are_not_followed(kind):
    """What is asked is for this server and nobody else."""

    class Elsewhere(http.server.BaseHTTPRequestHandler):
        asked = 0

        def do_GET(self):  # noqa: N802, the name that http.server calls
            type(self).asked += 1
            self.send_response(307)
            self.send_header("Location", self.path)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *arguments):
            pass

    with http.server.HTTPServer(("localhost", 0), Elsewhere) as other:
        threading.Thread(target=other.serve_forever, daemon=True).start()
        address = f"http://localhost:{other.server_port}"

        async def ask():
            async with AsyncClient(address, retry=NO_RETRY) as client:
                await client.status("m")

        with pytest.raises(ServingError, match="HTTP 307"):
            if kind is AsyncClient:
                asyncio.run(ask())
            else:
                Client(address, retry=NO_RETRY).status("m")
        other.shutdown()
    assert Elsewhere.asked == 1


def test_the_port_of_grpc_is_none_of_rest(server):
    with Client(f"http://{server.address}", retry=NO_RETRY) as client:
        with pytest.raises(ServingError, match="UNAVAILABLE: no HTTP/1.1 answer; .*port of gRPC"):
            client.status("toy")

    async def ask():
        async with AsyncClient(f"http://{server.address}", retry=NO_RETRY) as client:
            await client.status("toy")

    with pytest.raises(ServingError, match="UNAVAILABLE: no HTTP/1.1 answer; .*port of gRPC"):
        asyncio.run(ask())


def test_a_slow_answer_exceeds_the_deadline(server):
    """A server that listens and never answers: its port is open, nobody reads."""
    import socket

    with socket.create_server(("localhost", 0)) as silent:
        port = silent.getsockname()[1]
        for address in (f"localhost:{port}", f"http://localhost:{port}"):
            with Client(address, timeout=0.15, retry=NO_RETRY) as client:
                with pytest.raises(ServingError, match="DEADLINE_EXCEEDED|UNAVAILABLE"):
                    client.status("toy")


def test_a_client_does_not_import_tensorflow(server):
    code = (
        "import sys; from polysemy.serving import Client\n"
        f"with Client({server.address!r}) as client:\n"
        "    print(client.predict('toy', sentences=['the bank'])['default'].shape)\n"
        "print(sorted({'tensorflow', 'keras', 'aiohttp'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split("\n")[:2] == ["(1, 4)", "[]"]
