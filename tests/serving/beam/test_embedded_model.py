"""Which SavedModel is embedded with, and what is none."""

import os

import pytest
import tensorflow as tf

pytest.importorskip("apache_beam")

from polysemy.serving.beam import Embedding, embed  # noqa: E402


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    path = str(tmp_path_factory.mktemp("model") / "3")
    tf.saved_model.save(tf.Module(), path)
    return path


def test_the_newest_version_is_taken(model, tmp_path):
    folder = os.path.dirname(model)
    assert Embedding(folder, "x", "y").model == model
    assert Embedding(model, "x", "y").model == model


def test_what_is_no_model_claims_no_folder(model, tmp_path):
    (tmp_path / "corpus.txt").write_text("a line\n")
    for wrong in (tmp_path / "nowhere", tmp_path):
        rule = r"`model` must be the folder of a SavedModel, or hold numbered versions of one"
        with pytest.raises(ValueError, match=rule):
            embed(Embedding(str(wrong), f"{tmp_path}/*.txt", str(tmp_path / "vectors")))
    assert not (tmp_path / "vectors").exists()
