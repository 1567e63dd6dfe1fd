"""Files of weights."""

import os

import numpy as np
import pytest

from polysemy import zoo
from polysemy.zoo.safetensors_file import read_safetensors, write_safetensors

TINY = {"num_layers": 1, "num_heads": 2, "hidden_dim": 8, "vocabulary_size": 30}


def test_what_is_written_is_read(tmp_path):
    arrays = {"a": np.arange(6.0).reshape(2, 3), "b": np.array([1, 2], "int32")}
    write_safetensors(tmp_path / "w.safetensors", arrays)
    found = read_safetensors(tmp_path / "w.safetensors")
    assert set(found) == set(arrays)
    for name, array in arrays.items():
        assert found[name].shape == array.shape
        np.testing.assert_array_equal(found[name], array)


@pytest.mark.skipif(os.name != "posix", reason="modes of files are POSIX's")
@pytest.mark.parametrize("mask", [0o022, 0o077])
def test_others_may_read_what_the_umask_lets_them(mask, tmp_path):
    bert = zoo.Bert(**TINY)
    before = os.umask(mask)
    try:
        bert.save_to_preset(tmp_path / "preset", card="# A model\n")
        bert.save_as_huggingface(tmp_path / "published")
    finally:
        os.umask(before)
    files = [*(tmp_path / "preset").iterdir(), *(tmp_path / "published").iterdir()]
    assert len(files) >= 5
    assert {file.stat().st_mode & 0o777 for file in files} == {0o666 & ~mask}
    folders = [tmp_path / "preset", tmp_path / "published"]
    assert {folder.stat().st_mode & 0o777 for folder in folders} == {0o777 & ~mask}
