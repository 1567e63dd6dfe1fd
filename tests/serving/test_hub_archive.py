"""Exports as archives: what TF Hub downloads, and what comes out of them again."""

import functools
import http.server
import io
import os
import shutil
import stat
import tarfile
import threading
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from polysemy import serving
from polysemy.serving import hub_archive
from polysemy.serving.hub import HubLayer


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("TFHUB_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def packed(models, tmp_path):
    return serving.archive(models / "toy" / "3", tmp_path / "packed" / "toy.tar.gz")


def test_contents_lie_at_the_top_and_bytes_are_reproducible(models, packed, tmp_path):
    with tarfile.open(packed) as tar:
        names = tar.getnames()
        assert {entry.mtime for entry in tar} == {0}
    assert names == sorted(names) and {"saved_model.pb", "assets/words.txt"} <= set(names)
    assert {"variables/variables.index", "assets.extra/tf_serving_warmup_requests"} <= set(names)
    copy = shutil.copytree(models / "toy" / "3", tmp_path / "copy" / "3")
    os.utime(copy / "saved_model.pb", (1, 1))
    again = serving.archive(copy, tmp_path / "again.tgz")
    assert Path(again).read_bytes() == Path(packed).read_bytes()


@pytest.mark.parametrize("handle", ["{}", "file:{}", "file://{}"])
def test_hub_layer_opens_an_archive_once(packed, direct, sentences, cache, handle):
    layer = HubLayer(handle.format(packed), output_key="default")
    np.testing.assert_allclose(layer(tf.constant(sentences)), direct["default"], atol=1e-5)
    (folder,) = cache.iterdir()
    before = os.stat(folder / "saved_model.pb").st_mtime_ns
    assert hub_archive.resolve(packed) == str(folder)
    assert os.stat(folder / "saved_model.pb").st_mtime_ns == before


@pytest.mark.parametrize("umask, mode", [(0o022, 0o755), (0o077, 0o700)])
def test_others_may_read_it_as_the_umask_says(packed, cache, umask, mode):
    before = os.umask(umask)
    try:
        folder = hub_archive.resolve(packed)
    finally:
        os.umask(before)
    assert os.listdir(cache) == [os.path.basename(folder)]
    assert stat.S_IMODE(os.stat(folder).st_mode) == mode


def test_an_archive_survives_in_a_keras_file(packed, tmp_path):
    text = keras.Input((), dtype="string")
    model = keras.Model(text, HubLayer(packed, trainable=True, output_key="default")(text))
    for weight in model.trainable_weights:
        weight.assign(weight + 0.1)
    model.save(tmp_path / "model.keras")
    loaded: Any = keras.saving.load_model(tmp_path / "model.keras", safe_mode=False)
    texts = tf.constant(["the bank", "robbed"])
    np.testing.assert_allclose(loaded(texts), model(texts), atol=1e-6)


@pytest.mark.filterwarnings("ignore")  # tensorflow-hub and tf_keras call what others deprecated
def test_tf_hub_resolves_archives(packed, direct, sentences):
    import tensorflow_hub as hub

    handler: Any = functools.partial(
        http.server.SimpleHTTPRequestHandler, directory=os.path.dirname(packed)
    )
    with http.server.ThreadingHTTPServer(("localhost", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://localhost:{server.server_port}/toy.tar.gz"
        downloaded = hub.load(hub.resolve(address))
        layer = HubLayer(address, output_key="default")
        server.shutdown()
    hub_archive.register_resolver()
    local = hub.load(f"file://{packed}")
    for loaded in (downloaded, local):
        np.testing.assert_allclose(
            loaded(tf.constant(sentences))["default"], direct["default"], atol=1e-5
        )
    np.testing.assert_allclose(layer(tf.constant(sentences)), direct["default"], atol=1e-5)
    assert hub.resolve(str(Path(packed).parent)) == str(Path(packed).parent)


def test_moved_loaded_and_exported_again_it_keeps_its_assets(models, direct, sentences, tmp_path):
    """A model around an export is exported itself, twice; the first export is gone by then."""
    moved = Path(shutil.copytree(models / "toy" / "3", tmp_path / "moved"))
    paths = [str(moved)]
    for name in ("second", "third"):
        text = keras.Input((), dtype="string", name="sentences")
        layer = HubLayer(paths[-1], trainable=True, output_key="default")
        given: Any = text if name == "second" else {"sentences": text}
        model = keras.Model({"sentences": text}, {"default": layer(given)})
        paths.append(serving.export(model, tmp_path / name))
    shutil.rmtree(moved)
    shutil.rmtree(tmp_path / "second")
    assert os.listdir(Path(paths[-1], "assets")) == ["words.txt"]
    loaded = tf.saved_model.load(paths[-1])
    outputs = loaded({"sentences": tf.constant(sentences)})
    np.testing.assert_allclose(outputs["default"], direct["default"], atol=1e-5)
    assert len(loaded.trainable_variables) == 3
    (loss,) = loaded.regularization_losses
    assert float(loss()) > 0.0


def test_bad_archives_are_named(models, tmp_path, cache, monkeypatch):
    with pytest.raises(ValueError, match="`version_dir` must be.*without saved_model.pb"):
        serving.archive(models / "toy", tmp_path / "toy.tar.gz")
    with pytest.raises(ValueError, match=r"`path` must end in .tar.gz or .tgz.*toy.zip"):
        serving.archive(models / "toy" / "3", tmp_path / "toy.zip")
    garbage = tmp_path / "garbage.tar.gz"
    garbage.write_bytes(b"no archive at all")
    with pytest.raises(ValueError, match="`handle` must be a readable tar archive.*garbage"):
        HubLayer(garbage)
    cut = serving.archive(models / "toy" / "3", tmp_path / "cut.tar.gz")
    os.truncate(cut, os.path.getsize(cut) // 2)
    with pytest.raises(ValueError, match="`handle` must be a readable tar archive.*cut.tar.gz"):
        HubLayer(cut)
    # What was written is found wrong by the checksum alone, which comes last.
    flipped = Path(serving.archive(models / "toy" / "3", tmp_path / "flipped.tar.gz"))
    content = bytearray(flipped.read_bytes())
    content[-8] ^= 1
    flipped.write_bytes(content)
    with pytest.raises(ValueError, match="flipped.tar.gz': CRC check failed"):
        HubLayer(flipped)
    with monkeypatch.context() as full:
        usage = shutil.disk_usage(tmp_path)._replace(free=1000)
        full.setattr(shutil, "disk_usage", lambda path: usage)
        with pytest.raises(ValueError, match="more than the 1000 bytes that are free"):
            HubLayer(serving.archive(models / "toy" / "3", tmp_path / "large.tar.gz"))
    with pytest.raises(FileNotFoundError, match="`handle` must exist.*nothing.tar.gz"):
        HubLayer(tmp_path / "nothing.tar.gz")
    with pytest.raises(ValueError, match="`handle` must be a file of this machine.*file://there/x"):
        HubLayer("file://there/x.tar.gz")
    with tarfile.open(outside := tmp_path / "outside.tar", "w") as tar:
        entry = tarfile.TarInfo("../escaped")
        entry.size = 1
        tar.addfile(entry, io.BytesIO(b"x"))
    with pytest.raises(ValueError, match="`handle` must be a readable tar archive.*outside"):
        HubLayer(outside)
    assert not (tmp_path / "escaped").exists() and not list(cache.iterdir())
