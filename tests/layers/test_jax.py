"""Every layer on Keras's JAX backend, without TensorFlow, against TensorFlow's results."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import numpy as np

from polysemy import layers

SCRIPT = Path(__file__).with_name("every_layer.py")


def test_all_layers_compute_the_same(tmp_path):
    environment = {
        **os.environ,
        "KERAS_BACKEND": "jax",
        "JAX_PLATFORMS": "cpu",
        "JAX_DISABLE_MOST_OPTIMIZATIONS": "1",  # they take longer than the run
    }
    path = tmp_path / "jax.npz"
    jax = subprocess.Popen([sys.executable, SCRIPT, path], env=environment)
    spec = importlib.util.spec_from_file_location("every_layer", SCRIPT)
    assert spec is not None and spec.loader is not None
    every_layer = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(every_layer)
    expected = every_layer.forward()  # in the meantime
    assert jax.wait() == 0
    found = np.load(path)
    assert sorted(found.files) == sorted(expected)
    for name, value in expected.items():
        assert found[name].dtype == value.dtype, name
        scale = max(1.0, np.abs(value).max(initial=0))
        np.testing.assert_allclose(found[name], value, rtol=0, atol=1e-5 * scale, err_msg=name)


def test_no_layer_is_forgotten():
    source = SCRIPT.read_text()
    assert [name for name in layers.__all__ if f"layers.{name}(" not in source] == []
