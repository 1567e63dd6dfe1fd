"""Stopping a server while it works."""

import http.client
import threading
import time

import pytest
import tensorflow as tf

from polysemy.serving import Client
from polysemy.serving.server import Server


class Counter(tf.Module):
    """Counts for a while, one step of a loop in the graph at a time."""

    @tf.function(input_signature=[tf.TensorSpec([None], tf.int32, "steps")])
    def count(self, steps):
        total = tf.while_loop(lambda i: i < steps[0], lambda i: [i + 1], [0], parallel_iterations=1)
        return {"total": total[0] + 0 * steps}


@pytest.fixture
def slow_server(tmp_path):
    module = Counter()
    tf.saved_model.save(module, str(tmp_path / "slow" / "1"), signatures=module.count)
    with Server(tmp_path, port=0, rest_api_port=0, grace=30.0) as server:
        yield server


def test_requests_being_answered_finish(slow_server):
    with Client(slow_server.address) as client:
        client.predict("slow", steps=[1])  # without what only the first call does
        started = time.perf_counter()
        client.predict("slow", steps=[20_000])
        steps = int(20_000 / (time.perf_counter() - started))  # about one second of work
        answers = {}

        def ask_grpc():
            answers["grpc"] = client.predict("slow", steps=[steps])["total"].tolist()

        def ask_rest():
            connection = http.client.HTTPConnection("localhost", slow_server.rest_api_port)
            body = f'{{"instances": [{steps}]}}'
            connection.request("POST", "/v1/models/slow:predict", body)
            answers["rest"] = connection.getresponse().read()
            connection.close()

        threads = [threading.Thread(target=ask) for ask in (ask_grpc, ask_rest)]
        for thread in threads:
            thread.start()
        time.sleep(0.3)
        assert not answers
        slow_server.stop()
        for thread in threads:
            thread.join()
        assert answers["grpc"] == [steps]
        assert answers["rest"] == f'{{"predictions": [{steps}]}}'.encode()
