"""What the tests of all models share."""

import os
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

JAX = """
import sys
sys.modules["tensorflow"] = None  # whoever imports it fails
import keras, numpy as np
from polysemy import zoo
assert keras.config.backend() == "jax"
name, preset, inputs, outputs = sys.argv[1:]
if preset.endswith(".keras"):  # whose classes nobody has imported yet
    model = zoo.load_model(preset)
else:
    model = getattr(zoo, name).from_preset(preset)
found = model.predict_on_batch(dict(np.load(inputs)))
np.savez(outputs, **{name: np.array(x) for name, x in found.items()})
"""


@pytest.fixture(scope="session")
def arrays():
    """Turns a dict of tensors into one of numpy arrays."""
    return lambda tensors: {k: keras.ops.convert_to_numpy(v) for k, v in tensors.items()}


@pytest.fixture(scope="session")
def without_gradient():
    """`without_gradient(loss, weights)`: paths of the weights that `loss()` gives no gradient."""

    def find(loss, weights):
        with tf.GradientTape() as tape:
            total = loss()
        gradients = tape.gradient(total, weights)
        return [
            weight.path
            for weight, gradient in zip(weights, gradients, strict=True)
            if gradient is None or not np.any(tf.convert_to_tensor(gradient))
        ]

    return find


@pytest.fixture
def on_jax(arrays, tmp_path):
    """`on_jax(name, preset, inputs)`: outputs of a class of the zoo, out of a preset or a `.keras`
    file, in a fresh process that cannot import TensorFlow.
    """

    def run(name, preset, inputs):
        np.savez(tmp_path / "inputs.npz", **arrays(inputs))
        paths = [preset, tmp_path / "inputs.npz", tmp_path / "outputs.npz"]
        subprocess.run(
            [sys.executable, "-c", JAX, name, *paths],
            env={
                **os.environ,
                "KERAS_BACKEND": "jax",
                "JAX_PLATFORMS": "cpu",
                "JAX_DISABLE_MOST_OPTIMIZATIONS": "1",  # they take longer than the run
            },
            check=True,
        )
        return np.load(paths[-1])

    return run
