"""Starting and stopping; what cannot be served is named."""

import io
import logging
import os
import shutil
import signal
import socket
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_text

from polysemy.serving import Client
from polysemy.serving.errors import ServingError
from polysemy.serving.protos import PredictRequest
from polysemy.serving.server import Server, ServerOptions, serve, serve_forever
from polysemy.serving.server.folders import find_models
from polysemy.serving.server.model_server import model_server_command
from polysemy.serving.server.servable import Servable
from polysemy.serving.warmup import WARMUP_FILE, write_warmup


class Folder(tf.Module):
    """Uses an op of tensorflow_text."""

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "s")])
    def fold(self, s):
        return {"folded": tensorflow_text.case_fold_utf8(s)}


def test_ports_in_use_are_named(server, models):
    other = Server(models / "plain", port=server.port, rest_api_port=None)
    with pytest.raises(OSError, match=f"`port` must be free. Received: port={server.port}"):
        other.start()
    other = Server(models / "plain", port=0, rest_api_port=server.rest_api_port)
    with pytest.raises(OSError, match="`rest_api_port` must be free.*Address already in use"):
        other.start()
    with Client(f"localhost:{other.port}") as client:  # the gRPC port was given back
        with pytest.raises(ServingError, match="UNAVAILABLE"):
            client.status("plain", timeout=2)


def test_stopping_gives_the_ports_back(models):
    server = Server(models / "plain", port=0, rest_api_port=0, model_name="renamed")
    with server:
        with Client(server.address) as client:
            assert client.status("renamed") == {1: "AVAILABLE"}
    assert server.rest_api_port is not None
    for port in (server.port, server.rest_api_port):
        with socket.create_server(("0.0.0.0", port)):
            pass


def test_no_model_is_named(models, tmp_path):
    with pytest.raises(ValueError, match="`directory` must be a folder. Received: .*'nowhere'"):
        Server("nowhere").start()
    with pytest.raises(ValueError, match="`directory` must be a model folder, with numbered"):
        Server(tmp_path).start()
    with pytest.raises(ValueError, match=r"It is one version of a model: give its parent"):
        Server(models / "toy" / "3").start()
    with pytest.raises(ValueError, match="`model_name` must be None for .*plain, toy"):
        find_models(models, "one")


def test_a_broken_model_does_not_stop_the_others(models, tmp_path):
    shutil.copytree(models / "plain", tmp_path / "good")
    for name, content in (("cut", None), ("empty", b""), ("garbage", b"\x07garbage")):
        shutil.copytree(models / "plain" / "1", tmp_path / name / "1")
        file = tmp_path / name / "1" / "saved_model.pb"
        file.write_bytes(file.read_bytes()[:2000] if content is None else content)
    (tmp_path / "without" / "1").mkdir(parents=True)
    shutil.copytree(models / "toy" / "3", tmp_path / "weightless" / "1")
    shutil.rmtree(tmp_path / "weightless" / "1" / "variables")
    with Server(tmp_path, port=0, rest_api_port=None) as server, Client(server.address) as client:
        assert client.status("good") == {1: "AVAILABLE"}
        for name in ("cut", "empty", "garbage", "without", "weightless"):
            assert client.status(name) == {1: "END"}
            with pytest.raises(ServingError, match=rf"NOT_FOUND.*Latest\({name}\)"):
                client.predict(name, a=[[1.0]])
    with pytest.raises(ValueError, match=r"saved_model.pb must be readable.*garbage"):
        Server(tmp_path / "garbage").start()
    with pytest.raises(ValueError, match=r"must have a saved_model.pb.*without"):
        Server(tmp_path / "without").start()


def test_warm_up_runs_before_serving_and_a_failing_record_is_an_error(models, tmp_path):
    assert Servable("toy", 3, models / "toy" / "3").warm_up() == 3
    path = tmp_path / "plain" / "1"
    shutil.copytree(models / "plain" / "1", path)
    requests = [("serving_default", {"a": np.ones((1, 2)), "b": np.ones((1, 2))})]
    write_warmup(path, requests, model="plain")
    with pytest.raises(ValueError, match="Warm-up record 0 must run.*but double is provided"):
        Server(tmp_path).start()
    (path / WARMUP_FILE).write_bytes(b"not a record, but as long as a header")
    with pytest.raises(ValueError, match="must be a TFRecord of PredictionLog"):
        Server(tmp_path).start()


def test_an_op_that_nobody_registers_is_named(tmp_path):
    module = Folder()
    tf.saved_model.save(module, str(tmp_path), signatures=module.fold)
    file = tmp_path / "saved_model.pb"
    file.write_bytes(file.read_bytes().replace(b"CaseFoldUTF8", b"CaseFoldUTF9"))
    with pytest.raises(ValueError, match="must be registered here.*custom op 'CaseFoldUTF9'"):
        Servable("folder", 1, tmp_path)


def test_default_of_an_input_stands_in(tmp_path):
    class Power(tf.Module):
        @tf.function
        def power(self, x, n):
            return {"y": x**n}

    module = Power()
    spec = tf.TensorSpec([None], tf.float32, "x"), tf.TensorSpec([], tf.float32, "n")
    tf.saved_model.save(module, str(tmp_path), module.power.get_concrete_function(*spec))
    servable = Servable("power", 1, tmp_path)
    default = servable.signature_defs["serving_default"].defaults["n"]
    default.CopyFrom(tf.make_tensor_proto(3.0))
    request = PredictRequest()
    request.inputs["x"].CopyFrom(tf.make_tensor_proto([2.0]))
    assert list(servable.predict(request).message.outputs["y"].float_val) == [8.0]


def test_engine_of_tensorflow_serving(models, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(OSError, match="tensorflow_model_server is not on the PATH"):
        serve_forever(models, engine="tensorflow_model_server")
    program = tmp_path / "tensorflow_model_server"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    started = []
    monkeypatch.setattr(os, "execv", lambda *arguments: started.append(arguments))
    serve_forever(models / "toy", 8500, None, engine="tensorflow_model_server")
    expected = ["--port=8500", "--rest_api_port=0", "--model_name=toy"]
    path = f"--model_base_path={models / 'toy'}"
    assert started == [(str(program), [str(program), *expected, path])]


def test_several_models_are_configured_by_a_file(models):
    options = ServerOptions(directory=str(models), port=0, free_ports=True)
    command = model_server_command("program", options)
    assert command[1] != "--port=0" and command[2] != "--rest_api_port=0"
    file = Path(command[3].removeprefix("--model_config_file="))
    assert file.read_text().count("base_path") == 2
    file.unlink()


def test_log_lines_come_once(monkeypatch, caplog):
    """Whatever handlers the root logger has: `caplog` gives it one."""
    logger, stderr = logging.getLogger("polysemy"), io.StringIO()
    for name, value in {"handlers": [], "propagate": True, "level": logging.NOTSET}.items():
        monkeypatch.setattr(logger, name, value)
    monkeypatch.setattr(sys, "stderr", stderr)
    for _ in range(2):
        serve._log_to_stderr()
    logger.warning("once")
    assert stderr.getvalue().endswith(" WARNING once\n") and not caplog.records


def test_a_signal_while_models_are_loaded_ends_the_process(models, monkeypatch):
    """Also the first one of a container, which gets no signal that it has no handler for."""
    before = signal.getsignal(signal.SIGTERM)

    def end(code):
        raise SystemExit(code)

    for name in ("_log_to_stderr", "return_freed_memory"):
        monkeypatch.setattr(serve, name, lambda: None)
    monkeypatch.setattr(serve.gc, "freeze", lambda: None)
    monkeypatch.setattr(serve.os, "_exit", end)
    monkeypatch.setattr(serve.Server, "start", lambda self: signal.raise_signal(signal.SIGTERM))
    with pytest.raises(SystemExit, match="143"):
        serve_forever(models)
    assert signal.getsignal(signal.SIGTERM) is before


def test_wrong_arguments_of_serve_forever(models):
    with pytest.raises(ValueError, match="`engine` must be one of .*engine='torch'"):
        serve_forever(models, engine="torch")
    with pytest.raises(ValueError, match="`directory` or `model_base_path` must be given"):
        serve_forever(models, model_base_path=models)
    with pytest.raises(ValueError, match="`directory` or `model_base_path` must be given"):
        serve_forever()
