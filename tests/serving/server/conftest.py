"""One running server for the tests of this folder, and ways to ask it."""

import http.client
import json

import grpc
import pytest

from polysemy.serving import Client
from polysemy.serving.server import Server


@pytest.fixture(scope="session")
def server(models):
    with Server(models, port=0, rest_api_port=0) as running:
        yield running


@pytest.fixture(scope="session")
def client(server):
    with Client(server.address) as connected:
        yield connected


@pytest.fixture(scope="session")
def channel(server):
    with grpc.insecure_channel(server.address) as connected:
        yield connected


@pytest.fixture
def rest(server):
    """Sends a REST request; returns the status and the decoded JSON."""

    def ask(method, path, body=None, headers=None):
        connection = http.client.HTTPConnection("localhost", server.rest_api_port, timeout=20)
        content = body if isinstance(body, (bytes, type(None))) else json.dumps(body).encode()
        connection.request(method, path, content, headers or {})
        response = connection.getresponse()
        text = response.read()
        connection.close()
        if response.headers["Content-Type"] != "application/json":
            return response.status, text.decode()
        return response.status, json.loads(text)

    return ask
