"""The JSON object of a request."""

import gc

import pytest

from polysemy.serving.errors import ServingError
from polysemy.serving.server.json_document import parse


@pytest.mark.parametrize("digits", [4299, 4300, 4301, 20_000])
def test_long_integers(digits):
    number = parse(b'{"instances": [1, ' + b"7" * digits + b"]}")["instances"][1]
    assert float("1e300") < number
    assert isinstance(number, int) == (digits <= 4300)  # the most that Python reads


@pytest.mark.parametrize("collecting", [True, False])
@pytest.mark.parametrize("body", [b'{"a": [[], 1]}', b'{"a": [', b'{"a": ' + b"7" * 5000 + b"}"])
def test_the_collection_of_garbage_stays_as_it_was(body, collecting):
    (gc.enable if collecting else gc.disable)()
    try:
        try:
            parse(body)
        except ServingError:
            pass
        assert gc.isenabled() == collecting
    finally:
        gc.enable()


def test_many_lists_start_no_collection():
    """Each collection looks through all lists that were made so far."""
    collections = []

    def count(phase, info):
        if phase == "start":
            collections.append(info["generation"])

    gc.callbacks.append(count)
    try:
        document = parse(b'{"instances": [' + b",".join([b"[]"] * 200_000) + b"]}")
        assert len(document["instances"]) == 200_000
    finally:
        gc.callbacks.remove(count)
    assert len(collections) <= 3
