"""Toy models, a server of them, and raw calls: what the rows of the conformance suite share."""

import http.client
import importlib.util
import json
from pathlib import Path

import grpc
import numpy as np
import pytest
import tensorflow as tf
from google.protobuf import text_format

from polysemy.serving.protos import PredictRequest, TensorProto
from polysemy.serving.server import Server

_SPEC = importlib.util.spec_from_file_location("toys", Path(__file__).with_name("toys.py"))
assert _SPEC is not None and _SPEC.loader is not None
TOYS = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(TOYS)


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


def ask_rest(port, method, path, body=None, headers=None):
    """Sends a REST request; returns the status and the decoded JSON, or the text."""
    connection = http.client.HTTPConnection("localhost", port, timeout=20)
    content = body if isinstance(body, (bytes, type(None))) else json.dumps(body).encode()
    connection.request(method, path, content, headers or {})
    response = connection.getresponse()
    text = response.read()
    connection.close()
    if response.headers["Content-Type"] != "application/json":
        return response.status, text.decode()
    return response.status, json.loads(text)


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
def asking():
    """The helpers above by name, for tests with a server of their own."""
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


@pytest.fixture(scope="session")
def rest(server):
    """`rest("GET", "/v1/models/pair")`: the status and the decoded JSON, or the text."""

    def ask(method, path, body=None, headers=None):
        return ask_rest(server.rest_api_port, method, path, body, headers)

    return ask


@pytest.fixture
def array():
    """`array([1, 2])`: float32, as the toys take it."""
    return lambda value, dtype="float32": np.array(value, dtype)
