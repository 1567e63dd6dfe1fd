"""What TensorFlow takes for a SavedModel is one for the whole package."""

import os
import shutil
import tarfile

import pytest
import tensorflow as tf
from google.protobuf import text_format

from polysemy.serving import HubLayer, archive
from polysemy.serving.deploy.exports import read_exports
from polysemy.serving.protos import SavedModel
from polysemy.serving.saved_model_file import read_saved_model


def test_the_text_form_is_read(models, tmp_path):
    shutil.copytree(models / "plain", tmp_path / "plain")
    path = tmp_path / "plain" / "1"
    binary = path / "saved_model.pb"
    text = binary.with_suffix(".pbtxt")
    text.write_text(text_format.MessageToString(SavedModel.FromString(binary.read_bytes())))
    (before,) = read_exports(tmp_path)
    binary.unlink()
    (export,) = read_exports(tmp_path)
    assert export.signatures == before.signatures and export.tensorflow == before.tensorflow
    layer = HubLayer(str(path), output_key="difference")
    ones = tf.ones((1, 2))
    assert layer({"a": ones, "b": ones}).numpy().tolist() == [[-1.0, -1.0]]
    with tarfile.open(archive(path, tmp_path / "plain.tar.gz")) as packed:
        assert text.name in packed.getnames()
    for content in b"meta_graphs {", b"\xff":
        text.write_bytes(content)
        with pytest.raises(ValueError, match="must hold readable SavedModels. Received"):
            read_exports(tmp_path)
    text.unlink()
    with pytest.raises(FileNotFoundError, match="saved_model.pb"):
        read_saved_model(path)
    os.mkfifo(binary)  # nobody will write to it
    with pytest.raises(OSError, match="saved_model.pb is no file"):
        read_saved_model(path)
