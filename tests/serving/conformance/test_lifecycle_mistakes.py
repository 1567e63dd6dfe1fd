"""What goes wrong around a server's life: garbage, clients that vanish, signals."""

import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import threading

import grpc
import numpy as np
import tensorflow as tf
import tensorflow_text

from polysemy.serving.protos import PredictResponse

PREDICT = "/tensorflow.serving.PredictionService/Predict"


def request(asking, model="pair"):
    ones = np.ones((1, 2), "float32")
    return asking["predict_request"](model, a=ones, b=ones)


def version_of(answer):
    assert isinstance(answer, bytes), answer
    return PredictResponse.FromString(answer).model_spec.version.value


def test_garbage_bytes_on_the_grpc_port(server, asking):
    """Bytes that are no HTTP/2, and HTTP/2 that is no gRPC, harm nobody else."""
    preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
    settings = struct.pack(">IBI", 0, 4, 0)[1:] + b"\0" * 0
    for garbage in (
        b"\0" * 1000,
        os.urandom(5000),
        b"GET /v1/models/pair HTTP/1.1\r\nHost: x\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",  # a TLS hello
        preface + os.urandom(500),
        preface + settings + b"\xff" * 100,
    ):
        with socket.create_connection(("127.0.0.1", server.port)) as connection:
            connection.sendall(garbage)
    assert version_of(asking["grpc"](server.address, PREDICT[20:], request(asking))) == 1


def test_clients_that_disconnect_half_way(server, asking):
    """100 clients that disconnect half-way: the next one is answered."""
    raw = request(asking).SerializeToString()
    frame = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\4\0\0\0\0\0"
    open_ = []
    for _ in range(50):  # in the middle of the protocol
        connection = socket.create_connection(("127.0.0.1", server.port))
        connection.sendall(frame[:30])
        open_.append(connection)
    for connection in open_:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.close()
    for _ in range(50):  # in the middle of a call
        with grpc.insecure_channel(server.address) as channel:
            channel.unary_unary(PREDICT).future(raw)
    assert version_of(asking["grpc"](server.address, PREDICT[20:], request(asking))) == 1


def test_a_version_deleted_while_it_serves(lab, asking):
    """What is in memory goes on answering until a poll finds the folder gone; then NOT_FOUND."""
    lab.add(1)
    server = lab.server()
    shutil.rmtree(lab.root / "pair" / "1")
    assert version_of(asking["grpc"](server.address, PREDICT[20:], request(asking))) == 1
    lab.poll(server.manager)
    answer = asking["grpc"](server.address, PREDICT[20:], request(asking))
    assert answer == ("NOT_FOUND", "Servable not found for request: Latest(pair)")


def test_no_request_fails_while_versions_change(lab, asking):
    """Requests without a version never fail during a swap and never go back to an older version."""
    lab.add(1)
    server = lab.server()
    raw = request(asking).SerializeToString()
    seen, failures, stop = [[], []], [], threading.Event()

    def ask(versions):
        with grpc.insecure_channel(server.address) as channel:
            predict = channel.unary_unary(PREDICT)
            while not stop.is_set():
                try:
                    answer = PredictResponse.FromString(predict(raw, timeout=20))
                    versions.append(answer.model_spec.version.value)
                except grpc.RpcError as error:
                    failures.append(error)

    threads = [threading.Thread(target=ask, args=[versions]) for versions in seen]
    for thread in threads:
        thread.start()
    for version in (2, 3, 4):
        lab.add(version)
        if version == 3:
            lab.remove(1, 2)
        lab.poll(server.manager)
    stop.set()
    for thread in threads:
        thread.join()
    assert not failures
    for versions in seen:
        assert versions == sorted(versions) and len(versions) > 1


class Folder(tf.Module):
    """Uses an op of tensorflow_text, which the server's own process has to register."""

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "s")])
    def fold(self, s):
        return {"folded": tensorflow_text.case_fold_utf8(s)}


def start(lab, *flags):
    """`polysemy serve` in a process of its own, on a free port; returns it and its address."""
    process = subprocess.Popen(
        [sys.executable, "-c", "import sys; from polysemy.cli import main; sys.exit(main())"]
        + ["serve", str(lab.root), "--port=0", "--rest_api_port=0", *flags],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
    )
    assert process.stdout is not None
    line = process.stdout.readline()
    while line.startswith("Serving "):
        line = process.stdout.readline()
    return process, line.split()[1].rstrip(",")


def test_signals_under_load(lab, models, asking):
    """SIGTERM under load: in-flight requests finish, new ones are refused, the process ends with 0.
    SIGKILL and restart: nothing that is left keeps the next one from starting. Ops of
    tensorflow-text are registered before loading."""
    shutil.copytree(models / "failing" / "1", lab.root / "slow" / "1")
    module = Folder()
    tf.saved_model.save(module, str(lab.root / "folder" / "00000012"), signatures=module.fold)
    flag = f"--grpc_socket_path={lab.root / 'grpc.socket'}"

    def work(steps):
        made = asking["predict_request"]("slow", "work", steps=np.array([steps], "int32"))
        return made.SerializeToString()

    # What a server that was killed leaves behind.
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(lab.root / "grpc.socket"))
    process, address = start(lab, flag)
    with process, grpc.insecure_channel(f"unix:{lab.root / 'grpc.socket'}") as channel:
        predict = channel.unary_unary(PREDICT)
        folding = asking["predict_request"]("folder", s=["ÉA"]).SerializeToString()
        answer = PredictResponse.FromString(predict(folding, timeout=20))
        assert answer.outputs["folded"].string_val == ["éa".encode()]
        assert answer.model_spec.version.value == 12
        predict(work(1), timeout=20)
        running = [predict.future(work(30_000), timeout=30) for _ in range(3)]
        predict(work(1), timeout=20)  # so that those before it have arrived
        process.send_signal(signal.SIGTERM)
        assert process.stdout is not None and process.stdout.readline() == "Stopping.\n"
        for call in running:
            assert "y" in PredictResponse.FromString(call.result()).outputs
        assert process.wait(timeout=20) == 0
        with grpc.insecure_channel(address) as late:
            code = late.unary_unary(PREDICT).future(work(1), timeout=5).code()
        assert code == grpc.StatusCode.UNAVAILABLE
