"""One running server for the tests of this folder, and ways to ask it."""

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
