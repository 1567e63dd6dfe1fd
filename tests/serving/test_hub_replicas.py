"""`HubLayer` under a distribution strategy: two replicas do what one does."""

import os
import runpy
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from polysemy import serving
from polysemy.serving.hub import HubLayer

SCRIPT = Path(__file__).with_name("hub_replicas.py")


def test_gradients_and_weights_of_two_replicas_are_those_of_one(make_model, tmp_path):
    path = serving.export(make_model(dropout=0.0), tmp_path / "toy")  # no dice: they differ
    command = [sys.executable, str(SCRIPT), path, str(tmp_path / "2.npz"), "2"]
    process = subprocess.Popen(
        command,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "2"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    runpy.run_path(str(SCRIPT))["main"](path, tmp_path / "1.npz", 1)
    output, _ = process.communicate(timeout=240)
    assert process.returncode == 0, output
    with np.load(tmp_path / "1.npz") as one, np.load(tmp_path / "2.npz") as two:
        assert (one["replicas"], two["replicas"]) == (1, 2)
        assert len(one.files) == 2 * 5 + 4
        assert one["moved"].min() > 1e-3
        for name in set(one.files) - {"replicas"}:
            np.testing.assert_allclose(two[name], one[name], atol=1e-6, err_msg=name)


def test_a_trainable_layer_must_be_made_in_the_scope(models):
    layer = HubLayer(models / "toy" / "3", trainable=True)
    with tf.distribute.OneDeviceStrategy("CPU:0").scope():
        with pytest.raises(ValueError, match=r"inside the `strategy.scope\(\)`.*OneDeviceStrategy"):
            layer(tf.constant(["the"]))
        layer.trainable = False
        layer(tf.constant(["the"]))
