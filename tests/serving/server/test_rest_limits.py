"""What a hostile, slow or leaving client may do to the REST port, with a model that waits."""

import contextlib
import gc
import gzip
import http.client
import json
import socket
import threading
import time
import weakref
from typing import Any

import grpc
import numpy as np
import pytest
import tensorflow as tf

from polysemy.serving.errors import ServingError
from polysemy.serving.protos import GetModelStatusResponse, SavedModel
from polysemy.serving.server import rest_body
from polysemy.serving.server.access_log import AccessLog
from polysemy.serving.server.metrics import ServerMetrics
from polysemy.serving.server.options import ServerOptions
from polysemy.serving.server.rest import RestServer

PATH = "/v1/models/m:predict"
BODY = b'{"instances": [1.0, 2.5]}'


class WaitingModel:
    """A manager with one model, which gives back its input when it is let go."""

    name, version = "m", 7

    def __init__(self):
        self.go, self.started, self.deadlines = threading.Event(), threading.Semaphore(0), []
        self.definition = SavedModel().meta_graphs.add().signature_def["serving_default"]
        self.definition.inputs["x"].dtype = tf.float32.as_datatype_enum
        self.held = 0

    @contextlib.contextmanager
    def acquire(self, spec):
        if spec.name != self.name:
            raise ServingError(grpc.StatusCode.NOT_FOUND, f"no {spec.name}")
        self.held += 1
        yield self
        self.held -= 1

    def signature_def(self, name):
        return self.definition

    def run(self, signature, tensors, cancellation):
        self.deadlines.append(cancellation.deadline)
        self.started.release()
        assert self.go.wait(20)
        return {"y": tensors["x"].numpy()}

    def status(self, request):
        response = GetModelStatusResponse()
        response.model_version_status.add(version=self.version)
        return response


@pytest.fixture
def model():
    waiting = WaitingModel()
    yield waiting
    waiting.go.set()


@pytest.fixture
def start(model):
    """`start(flag=value)` starts a server and returns its port."""
    servers = []

    def run(metrics=None, access_log=None, **flags):
        options = ServerOptions(**flags)
        servers.append(RestServer(model, 0, 10.0, options, metrics, "/metrics", access_log))
        return servers[-1].port

    yield run
    model.go.set()
    for server in servers:
        server.stop()


def ask(port, body: Any = BODY, headers=(), method="POST", path=PATH):
    connection = http.client.HTTPConnection("localhost", port, timeout=20)
    connection.request(method, path, body, dict(headers))
    response = connection.getresponse()
    text = response.read()
    connection.close()
    return response.status, text, response.headers


def raw(port, content):
    """Sends bytes, returns all that comes back until the server hangs up."""
    with socket.create_connection(("localhost", port), timeout=20) as connection:
        connection.sendall(content)
        return b"".join(iter(lambda: connection.recv(65536), b""))


def in_background(port, count=1):
    answers = []
    threads = [threading.Thread(target=lambda: answers.append(ask(port)[:2])) for _ in range(count)]
    for thread in threads:
        thread.start()
    return threads, answers


def wait_until(condition):
    for _ in range(200):
        if condition():
            return
        time.sleep(0.02)
    raise AssertionError("it did not happen within 4 s")


def test_slow_models_do_not_keep_the_status_waiting(start, model):
    port = start(rest_api_num_threads=2)
    threads, answers = in_background(port, 4)
    model.started.acquire()
    model.started.acquire()
    status, text, _ = ask(port, None, method="GET", path="/v1/models/m")
    assert status == 200 and json.loads(text)["model_version_status"][0]["version"] == "7"
    assert not answers
    model.go.set()
    for thread in threads:
        thread.join()
    assert answers == [(200, b'{"predictions": [1.0, 2.5]}')] * 4


def test_the_time_limit_is_504_and_takes_the_request_out_of_the_queue(start, model):
    metrics = ServerMetrics()
    port = start(metrics, rest_api_timeout_in_ms=200, rest_api_num_threads=1)
    threads, answers = in_background(port, 2)
    for thread in threads:
        thread.join()
    assert answers == [(504, b'{"error": "Timed out after 0.2 s"}')] * 2
    model.go.set()
    model.deadlines.clear()
    assert ask(port)[0] == 200
    assert len(model.deadlines) == 1  # the one that waited has never been run
    page = metrics.render().decode()
    assert 'request_count{model_name="m",status="DEADLINE_EXCEEDED"} 2' in page


def test_requests_past_the_bound_are_503(start, model):
    port = start(rest_api_num_threads=1, max_queued_requests=2)
    threads, answers = in_background(port, 10)
    wait_until(lambda: len(answers) == 7)  # one is run, two wait
    assert answers == [(503, b'{"error": "The queue of requests is full. Try again later."}')] * 7
    model.go.set()
    for thread in threads:
        thread.join()
    assert answers[7:] == [(200, b'{"predictions": [1.0, 2.5]}')] * 3
    assert ask(port)[0] == 200


def test_clients_that_leave_half_way_leave_nothing_behind(start, model, tmp_path):
    metrics, log = ServerMetrics(), AccessLog(tmp_path / "log")
    port = start(metrics, log, rest_api_num_threads=1)
    head = f"POST {PATH} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(BODY)}\r\n\r\n".encode()
    connections = []
    for i in range(100):
        connection = socket.create_connection(("localhost", port))
        # In the middle of the head, of the body, or of the model's work.
        connection.sendall((head + BODY)[: (20, len(head) + 5, None)[i % 3]])
        connections.append(connection)
    model.started.acquire()
    for connection in connections:
        connection.close()
    page = 'request_count{model_name="m",status="CANCELLED"} 66'
    wait_until(lambda: page in metrics.render().decode())
    model.go.set()
    model.deadlines.clear()
    assert ask(port)[:2] == (200, b'{"predictions": [1.0, 2.5]}')
    wait_until(lambda: model.held == 0)
    assert len(model.deadlines) == 1  # nobody has run what nobody waits for
    log.close()
    lines = [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()]
    assert [line["status"] for line in lines] == ["CANCELLED"] * 66 + ["OK"]
    last = lines[-1]
    assert (last["model"], last["version"], last["signature"]) == ("m", 7, "serving_default")
    assert (last["examples"], last["api"], last["entrypoint"]) == (2, "predict", "REST")
    assert last["peer"].rpartition(":")[0] in ("::1", "127.0.0.1", "::ffff:127.0.0.1")


@pytest.mark.parametrize(
    "content",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(range(256)),
        b"\x00" * 10_000,
        b"GET\r\n\r\n",
        b"POST /v1/models/m:predict HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        b"POST /v1/models/m:predict HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"GET /v1/models/" + b"m" * 100_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /v1/models/m HTTP/1.1\r\nHost: x\r\nA: " + b"a" * 100_000 + b"\r\n\r\n",
        b"F=O /v1/models/m HTTP/1.1\r\nHost: x\r\n\r\n",
    ],
)
def test_bytes_that_are_no_http_are_400(start, model, content, capfd):
    model.go.set()
    port = start()
    answer = raw(port, content)
    assert answer.startswith((b"HTTP/1.1 400", b"HTTP/1.0 400")), answer[:200]
    assert b"Traceback" not in answer and b'File "' not in answer
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"Server: polysemy" in head and b"Content-Type: application/json" in head
    error = json.loads(body)["error"]
    assert error.startswith("Malformed request") and "bytearray" not in error
    assert ask(port)[0] == 200
    assert "Traceback" not in capfd.readouterr().err


def test_lines_may_be_long(start, model):
    model.go.set()
    request = b"GET /v1/models/m HTTP/1.0\r\nHost: x\r\nA: " + b"a" * 20_000 + b"\r\n\r\n"
    assert b" 200 OK" in raw(start(), request).partition(b"\r\n")[0]


def test_what_goes_wrong_inside_is_500_without_a_word_of_it(start, model, caplog):
    model.run = lambda *_: 1 / 0
    metrics = ServerMetrics()
    port = start(metrics)
    assert ask(port)[:2] == (500, b'{"error": "Internal error"}')
    assert "division by zero" in caplog.text
    assert 'request_count{model_name="m",status="INTERNAL"} 1' in metrics.render().decode()


def test_bodies_have_a_limit(start, model, monkeypatch):
    model.go.set()
    monkeypatch.setattr(rest_body, "MAX_BODY_BYTES", 1000)
    monkeypatch.setattr(rest_body, "MAX_UNPACKED_BYTES", 5000)
    port = start()
    too_large = {"error": "The request's body must not be larger than 1000 bytes"}
    status, text, _ = ask(port, BODY + b" " * 1000)
    assert (status, json.loads(text)) == (413, too_large)
    chunks = (b" " * 400 for _ in range(3))
    status, text, _ = ask(port, chunks)
    assert (status, json.loads(text)) == (413, too_large)
    packed = {"Content-Encoding": "gzip"}
    assert ask(port, gzip.compress(BODY + b" " * 4000), packed)[0] == 200
    status, text, _ = ask(port, gzip.compress(BODY + b" " * 400_000), packed)
    assert status == 413 and b"larger than 5000 bytes" in text
    for broken in (BODY, gzip.compress(BODY)[:-9], b""):
        assert ask(port, broken, packed)[0] == 400


def test_tensors_and_depth_have_a_limit(start, model):
    model.go.set()
    port = start(max_tensor_bytes=8, max_json_depth=3)
    assert ask(port)[0] == 200
    status, text, _ = ask(port, b'{"instances": [1, 2, 3]}')
    assert status == 400 and b"max_tensor_bytes=8" in text
    status, text, _ = ask(port, b'{"instances": [[[1]]]}')
    assert status == 400 and b"Nested deeper than 3 levels" in text


def test_a_refused_body_leaves_the_memory_at_once(start, model):
    class Document(dict):
        pass

    seen = []

    def fail(*arguments):
        document = Document()
        seen.append(weakref.ref(document))
        raise ServingError(grpc.StatusCode.INVALID_ARGUMENT, "no")

    model.run = fail
    port = start()
    gc.disable()
    try:
        assert ask(port)[0] == 400
        wait_until(lambda: seen[0]() is None)
    finally:
        gc.enable()


def test_eight_mebibytes_of_numbers(start, model):
    model.go.set()
    values = np.arange(2**20, dtype=np.float64).reshape(1024, 1024) / 8
    status, text, _ = ask(start(), json.dumps({"inputs": values.tolist()}).encode())
    assert status == 200
    np.testing.assert_array_equal(np.array(json.loads(text)["outputs"], np.float32), values)


def test_a_connection_is_kept_for_many_requests(start, model):
    model.go.set()
    connection = http.client.HTTPConnection("localhost", start(), timeout=20)
    sockets = set()
    for body in (BODY, (BODY[i : i + 5] for i in range(0, len(BODY), 5)), b"{", BODY):
        connection.request("POST", PATH, body)
        response = connection.getresponse()
        response.read()
        sockets.add(connection.sock)
    assert response.status == 200 and len(sockets) == 1 and None not in sockets
    connection.close()


def test_a_body_may_wait_for_100_continue(start, model):
    model.go.set()
    head = f"POST {PATH} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(BODY)}\r\n"
    with socket.create_connection(("localhost", start()), timeout=20) as connection:
        connection.sendall(f"{head}Expect: 100-continue\r\n\r\n".encode())
        assert connection.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(BODY)
        assert connection.recv(1000).startswith(b"HTTP/1.1 200 OK\r\n")
