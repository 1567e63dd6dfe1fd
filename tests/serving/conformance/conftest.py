"""Toy models, a server of them, and raw calls: what the rows of the conformance suite share."""

import contextlib
import gc
import importlib.util
from pathlib import Path

import grpc
import numpy as np
import pytest
import tensorflow as tf
from google.protobuf import text_format

from polysemy.serving.protos import PredictRequest, TensorProto
from polysemy.serving.server import Server
from polysemy.serving.server.options import ServerOptions


def _beside(name):
    """A module of this folder, which is no package."""
    spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


TOYS = _beside("toys")
LIFECYCLE = _beside("lifecycle")


@pytest.fixture(scope="session")
def toys():
    """The module that makes the toy models: `toys.save_pair(folder / "3", factor=3.0)`."""
    return TOYS


@pytest.fixture(scope="session")
def models(tmp_path_factory):
    """A folder with version 1 of every toy model: pair, power, text, echo, examples …"""
    directory = tmp_path_factory.mktemp("toys")
    for name, make in TOYS.MODELS.items():
        make(directory / name / "1")
    return directory


@pytest.fixture(scope="session")
def server(models):
    """A server of all the toy models with every option at its default, on free ports."""
    with Server(models, port=0, rest_api_port=0) as running:
        yield running


@contextlib.contextmanager
def _channel_to(path, **flags):
    options = ServerOptions(
        model_base_path=str(path),
        model_name=path.name,
        free_ports=True,
        port=0,
        rest_api_port=-1,
        **flags,
    )
    with Server(options=options) as server, grpc.insecure_channel(server.address) as channel:
        yield channel


@pytest.fixture(scope="session")
def channel_to():
    """`with channel_to(folder of a model, flag=value) as channel:` serves it over gRPC alone."""
    return _channel_to


def ask_grpc(address, method, message, timeout=20.0):
    """Sends a message, or raw bytes, to `PredictionService/Predict` and the like.

    Returns:
        The answer's bytes, or (code name, text).
    """
    raw = message if isinstance(message, bytes) else message.SerializeToString()
    with grpc.insecure_channel(address) as channel:
        try:
            return channel.unary_unary(f"/tensorflow.serving.{method}")(raw, timeout=timeout)
        except grpc.RpcError as error:
            return error.code().name, error.details()


def predict_request(model="pair", signature="", version=None, **inputs):
    """A request of arrays, `TensorProto`s, or text in the proto's own syntax after `proto:`."""
    request = PredictRequest()
    request.model_spec.name = model
    request.model_spec.signature_name = signature
    if version is not None:
        request.model_spec.version.value = version
    for alias, value in inputs.items():
        if isinstance(value, str) and value.startswith("proto:"):
            value = text_format.Parse(value.removeprefix("proto:"), TensorProto())
        is_proto = isinstance(value, TensorProto)
        request.inputs[alias].CopyFrom(value if is_proto else tf.make_tensor_proto(value))
    return request


@pytest.fixture(scope="session")
def asking(ask_rest):
    """The helpers by name, for tests with a server of their own."""
    return {"grpc": ask_grpc, "rest": ask_rest, "predict_request": predict_request}


@pytest.fixture(scope="session")
def call(server):
    """`call(method, message, answer_class)`: the decoded answer, or (code name, text)."""
    unlimited = [("grpc.max_receive_message_length", -1)]
    with grpc.insecure_channel(server.address, unlimited) as channel:

        def send(method, message, answer, timeout=20.0):
            raw = message if isinstance(message, bytes) else message.SerializeToString()
            stub = channel.unary_unary(f"/tensorflow.serving.{method}")
            try:
                return answer.FromString(stub(raw, timeout=timeout))
            except grpc.RpcError as error:
                return error.code().name, error.details()

        yield send


@pytest.fixture
def array():
    """`array([1, 2])`: float32, as the toys take it."""
    return lambda value, dtype="float32": np.array(value, dtype)


@pytest.fixture(scope="session")
def lifecycle():
    """The module that makes folders of models: `lifecycle.Lifecycle(root, template)`."""
    gc.collect()
    gc.freeze()  # as in a server's own process: to free a version takes moments
    return LIFECYCLE


@pytest.fixture
def lab(models, tmp_path, lifecycle):
    """A folder of models whose versions come and go; see `lifecycle.Lifecycle`."""
    made = lifecycle.Lifecycle(tmp_path, models / "pair" / "1")
    yield made
    made.close()


@pytest.fixture
def gate(monkeypatch):
    """Holds every load until the test opens it for its version; see `lifecycle.Gate`."""
    from polysemy.serving.server import manager

    made = LIFECYCLE.Gate(manager.load_version)
    monkeypatch.setattr(manager, "load_version", made)
    return made


@pytest.fixture(scope="session")
def model_spec():
    """`model_spec(name, version=, label=)`: a `ModelSpec`."""
    return LIFECYCLE.spec
