"""Two processes that train together end with the same weights."""

import json
import socket

import numpy as np


def free_addresses(count):
    """Returns addresses of this machine that nobody listens on."""
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("localhost", 0))
    addresses = [f"localhost:{one.getsockname()[1]}" for one in sockets]
    for one in sockets:
        one.close()
    return addresses


def test_two_workers_end_with_identical_weights(start, tmp_path):
    cluster = {"worker": free_addresses(2)}
    workers = [
        start(
            tmp_path,
            "trainer.strategy=multi_worker",
            "trainer.steps=none",
            "trainer.epochs=2",
            "trainer.steps_per_epoch=none",
            "task.stateful=no",
            TF_CONFIG=json.dumps({"cluster": cluster, "task": {"type": "worker", "index": index}}),
            TOY_WEIGHTS=str(tmp_path / f"worker{index}.npz"),
        )
        for index in range(2)
    ]
    outputs = [worker.communicate(timeout=240)[0] for worker in workers]
    for worker, output in zip(workers, outputs, strict=True):
        assert worker.returncode == 0, output
    assert "epoch 2 | step 14" in outputs[0] and "ours test_accuracy" in outputs[0]
    assert "epoch" not in outputs[1]  # one worker speaks for all

    with np.load(tmp_path / "worker0.npz") as one, np.load(tmp_path / "worker1.npz") as two:
        assert len(one.files) == len(two.files) == 4
        for name in one.files:
            np.testing.assert_array_equal(one[name], two[name])
            assert np.any(one[name])
