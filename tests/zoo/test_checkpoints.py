"""Tensors by name into variables."""

import json

import keras
import numpy as np
import pytest
from safetensors.numpy import save_file

from polysemy.zoo.checkpoints import Weight, assign_weights
from polysemy.zoo.safetensors_file import read_safetensors
from polysemy.zoo.stored_tensor import StoredTensor


@pytest.fixture
def layer():
    layer = keras.layers.Dense(2, name="dense")
    layer.build((None, 3))
    return layer


TENSORS = {"w": np.arange(6.0).reshape(2, 3), "b0": np.array([1.0]), "b1": np.array([2.0])}
TABLE = (
    Weight("w", "dense/kernel", np.transpose),
    Weight(("b0", "b1"), "dense/bias", lambda *parts: np.concatenate(parts)),
)


@pytest.fixture
def variables(layer):
    # A built layer outside of a model names its variables by themselves.
    return [_Named(v, f"dense/{v.name}") for v in layer.weights]


class _Named:
    """A variable under a path of our choice."""

    def __init__(self, variable, path):
        self.path, self.shape, self.variable = path, variable.shape, variable

    def assign(self, value):
        self.variable.assign(value)


def test_transforms(layer, variables):
    assign_weights(variables, TENSORS, TABLE, origin="x")
    assert layer.kernel.numpy().tolist() == [[0, 3], [1, 4], [2, 5]]
    assert layer.bias.numpy().tolist() == [1, 2]


def test_ignored_tensors(layer, variables):
    tensors = {**TENSORS, "global_step": np.array(3)}
    assign_weights(variables, tensors, TABLE, origin="x", ignore=lambda name: name == "global_step")
    assert layer.bias.numpy().tolist() == [1, 2]


def test_all_problems_are_listed_and_nothing_is_assigned(layer, variables):
    before = layer.get_weights()
    tensors = {**TENSORS, "extra": np.zeros((4, 5))}
    del tensors["b1"]
    table = (
        Weight("w", "dense/kernel"),
        Weight(("b0", "b1"), "dense/bias", lambda *parts: np.concatenate(parts)),
        Weight("b0", "dense/none"),
    )
    with pytest.raises(ValueError) as raised:
        assign_weights(variables, tensors, table, origin="file.bin")
    assert str(raised.value) == (
        "The checkpoint must match the model tensor for tensor. Received: file.bin with 4 "
        "mismatch(es):\n"
        "  tensor 'w' of shape (2, 3) does not fit 'dense/kernel' (3, 2)\n"
        "  missing tensor 'b1' (for 'dense/bias')\n"
        "  no variable 'dense/none' (for tensor 'b0')\n"
        "  superfluous tensor 'extra' (4, 5)"
    )
    for value, old in zip(layer.get_weights(), before, strict=True):
        np.testing.assert_array_equal(value, old)


def test_unset_variables_and_failing_transforms(variables):
    def halve(tensor):
        return np.split(tensor, 2, axis=-1)[0]

    with pytest.raises(ValueError) as raised:
        tensors = {"w": TENSORS["w"]}
        assign_weights(variables, tensors, [Weight("w", "dense/kernel", halve)], origin="x")
    assert "tensor 'w' of shape (2, 3) does not fit: array split does not" in str(raised.value)
    assert "variable 'dense/bias' is left unset" in str(raised.value)


def test_tensors_of_a_file_are_read_once_and_only_if_all_fit(layer, variables):
    reads = []

    def read(name):
        reads.append(name)
        return TENSORS[name]

    tensors = {n: StoredTensor(x.shape, lambda n=n: read(n)) for n, x in TENSORS.items()}
    superfluous = {**tensors, "extra": StoredTensor((4,), lambda: read("extra"))}
    with pytest.raises(ValueError, match=r"superfluous tensor 'extra' \(4,\)"):
        assign_weights(variables, superfluous, TABLE, origin="x")
    assert not reads
    assign_weights(variables, tensors, TABLE, origin="x")
    assert reads == ["w", "b0", "b1"]
    assert layer.kernel.numpy().tolist() == [[0, 3], [1, 4], [2, 5]]
    assert layer.bias.numpy().tolist() == [1, 2]


def test_a_file_that_changes_or_is_of_other_types(tmp_path):
    path = tmp_path / "model.safetensors"
    save_file({"w": np.ones(3, "float64")}, path)
    tensor = read_safetensors(path)["w"]
    path.unlink()
    save_file({"other": np.ones(3, "float64")}, path)
    message = "`model.safetensors` must be a whole safetensors file of numpy's types. .*"
    with pytest.raises(ValueError, match=message + "does not contain tensor w"):
        np.asarray(tensor)
    path.write_bytes(b"junk")
    with pytest.raises(ValueError, match=message + "header"):
        np.asarray(tensor)
    header = json.dumps({"w": {"dtype": "F8_E4M3", "shape": [3], "data_offsets": [0, 3]}}).encode()
    path.write_bytes(len(header).to_bytes(8, "little") + header + bytes(3))
    with pytest.raises(ValueError, match=message + "float8"):
        np.asarray(tensor)
    path.unlink()
    with pytest.raises(FileNotFoundError):
        np.asarray(tensor)
