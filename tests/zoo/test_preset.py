"""The registry of presets and the folders that models are kept in."""

import dataclasses
import functools
import http.server
import json
import shutil
import threading

import keras
import numpy as np
import pytest

from polysemy import zoo
from polysemy.zoo import preset as presets
from polysemy.zoo.files import CACHE_VARIABLE, sha256
from polysemy.zoo.preset import Preset, get_preset, list_presets, register

SMALL = {
    "filters": [[1, 3], [2, 4]],
    "num_highway_layers": 1,
    "character_embedding_dim": 4,
    "hidden_dim": 8,
    "projection_dim": 4,
}
TINY = {"num_layers": 1, "num_heads": 2, "hidden_dim": 8}
VOCABULARY = ["<S>", "</S>", "<UNK>", "a", "cat"]


@pytest.fixture
def model():
    backbone = zoo.Elmo(**SMALL, stateful=True, state_batch_size=2)
    return zoo.ElmoLM(backbone, VOCABULARY, num_sampled=2)


@pytest.fixture
def folder(model, tmp_path):
    model.save_to_preset(tmp_path / "saved", card="# A model\n")
    return tmp_path / "saved"


@pytest.fixture
def registered(folder, monkeypatch, tmp_path):
    """Registers the folder as a preset of the package: `registered(**changes)`."""
    list_presets()  # those of the package register now, not into the copy
    monkeypatch.setattr(presets, "PRESETS", dict(presets.PRESETS))
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    checksum = sha256(folder / "model.safetensors")

    def registered(name="elmo_test_en", **changes):
        facts = Preset(name, "A test.", 1, "CC0-1.0", "nothing", checksum, "none", str(folder))
        register(dataclasses.replace(facts, **changes))
        return name

    return registered


def weights_of(model):
    return {v.path: keras.ops.convert_to_numpy(v) for v in presets.saved_variables(model)}


def assert_same_weights(model, other, tolerance=0.0):
    expected, found = weights_of(model), weights_of(other)
    assert set(expected) == set(found)
    for path, value in expected.items():
        np.testing.assert_allclose(found[path], value, rtol=tolerance, atol=1e-7)


def test_folder_round_trip(model, folder):
    files = {path.name for path in folder.iterdir()}
    assert files == {"config.json", "model.safetensors", "README.md"}
    loaded = zoo.ElmoLM.from_preset(folder)
    assert loaded.get_config() == model.get_config()
    assert_same_weights(model, loaded)
    inputs = model.preprocessor(["a cat", "cat"])
    before = model(inputs)["forward_loss"].numpy()
    np.testing.assert_array_equal(loaded(inputs)["forward_loss"].numpy(), before)


def test_backbone_out_of_a_task(model, folder):
    elmo = zoo.Elmo.from_preset(folder)
    assert type(elmo) is zoo.Elmo
    assert_same_weights(model.backbone, elmo)
    assert type(zoo.Backbone.from_preset(folder)) is zoo.Elmo
    assert type(zoo.TaskModel.from_preset(folder)) is zoo.ElmoLM
    with pytest.raises(ValueError, match="`preset` must hold a CachedElmo.*holds a ElmoLM$"):
        zoo.CachedElmo.from_preset(folder)
    model.backbone.save_to_preset(folder)
    hint = r"holds a Elmo; a new head goes upon that: Tagger\(Elmo.from_preset\('.*saved'\), …\)"
    with pytest.raises(ValueError, match=hint):
        zoo.Tagger.from_preset(folder)


def test_a_folder_is_read_by_what_wrote_it(folder, tmp_path):
    with pytest.raises(ValueError, match="`path` must be a `.keras` file.*`from_preset`.*saved'"):
        zoo.load_model(folder)
    for cls in (zoo.Bert, zoo.GPT2):
        with pytest.raises(ValueError, match="must be a published checkpoint; `from_preset` reads"):
            cls.from_checkpoint(folder)
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    with pytest.raises(ValueError, match="`save_to_preset`. .*`from_checkpoint` reads published"):
        zoo.Bert.from_preset(tmp_path)


def test_overrides(model, folder):
    elmo = zoo.Elmo.from_preset(folder, stateful=False, dropout=0.3)
    assert (elmo.stateful_lm, elmo.dropout) == (False, 0.3)
    assert_same_weights(model.backbone, elmo)
    backbone = {"state_batch_size": 5, "dropout": 0.2}
    loaded = zoo.ElmoLM.from_preset(folder, dropout=0.1, backbone=backbone)
    assert (loaded.dropout, loaded.backbone.dropout) == (0.1, 0.2)
    assert loaded.backbone.state_batch_size == 5
    assert_same_weights(model, loaded)
    with pytest.raises(ValueError, match=r"tensor 'token_encoder/projection/kernel'.*does not fit"):
        zoo.Elmo.from_preset(folder, projection_dim=6)
    with pytest.raises(ValueError, match=r"missing tensor 'scalar_mix_1/gamma'"):
        zoo.Elmo.from_preset(folder, num_mixes=2)


@pytest.mark.parametrize(
    "make, message",
    [
        (
            lambda: zoo.Bert(vocabulary_size=9, **TINY, drop_out=0.5),
            "`drop_out` must be an argument of Bert. Received: drop_out=0.5. Nearest name: dropout",
        ),
        (
            lambda: zoo.GPT2(vocabulary_size=9, **TINY, foo=3),
            "`foo` must be an argument of GPT2. Received: foo=3. Its arguments: activation, att",
        ),
        (
            lambda: zoo.GPT2CausalLM(zoo.GPT2(vocabulary_size=9, **TINY), trainabel=False),
            "`trainabel` must be an argument of GPT2CausalLM. .* Nearest name: trainable",
        ),
        (lambda: zoo.Elmo(**SMALL, stateful_=True), "an argument of Elmo. .* name: stateful$"),
        (
            lambda: zoo.Tagger(None, ["O"], num_layer=1, hidden_dim=4),
            "an argument of Tagger. .* name: num_layers",
        ),
    ],
)
def test_arguments_that_are_not_there(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_overrides_that_are_not_there(folder):
    with pytest.raises(ValueError, match="`droput` must be an argument of Elmo.* name: dropout"):
        zoo.Elmo.from_preset(folder, droput=0.1)
    with pytest.raises(ValueError, match="`foo` must be an argument of Elmo. Received: foo=3"):
        zoo.ElmoLM.from_preset(folder, backbone={"foo": 3})


def test_what_keras_passes_is_an_argument(tmp_path):
    """Name, dtype and what is trained, through a config and a file."""
    bert = zoo.Bert(vocabulary_size=9, **TINY, name="mine", dtype="mixed_bfloat16", trainable=False)
    bert.save(tmp_path / "bert.keras")
    bert.save_to_preset(tmp_path / "preset")
    copies = (
        keras.models.load_model(tmp_path / "bert.keras"),
        zoo.Bert.from_preset(tmp_path / "preset"),
    )
    for copy in copies:
        assert copy.get_config() == bert.get_config()
        assert (copy.name, copy.trainable_weights) == ("mine", [])


def test_layers_frozen_later_stay_frozen(tmp_path):
    """Through configs, presets and files, also where the constructor thaws them."""
    model = zoo.GPT2CausalLM(zoo.GPT2(vocabulary_size=9, **TINY))
    assert "layers_trainable" not in model.get_config()
    model.backbone.get_layer("block_0").trainable = False
    model.backbone.get_layer("block_0").feed_forward.trainable = True
    number = len(model.trainable_weights)
    tagger = zoo.Tagger(zoo.Elmo(**SMALL), ["O"], encoder_training="full", hidden_dim=2)
    tagger.backbone.trainable = False
    assert tagger.get_config()["layers_trainable"] == {"elmo": False}
    for made in (model, tagger):
        names = {weight.path for weight in made.trainable_weights}
        made.save_to_preset(tmp_path / made.name)
        made.save(tmp_path / "model.keras")
        copies = (
            type(made).from_preset(tmp_path / made.name),
            zoo.load_model(tmp_path / "model.keras"),
        )
        for copy in copies:
            assert {weight.path for weight in copy.trainable_weights} == names
    backbone = zoo.GPT2.from_preset(tmp_path / model.name)
    assert len(backbone.trainable_weights) == number


def test_a_task_takes_no_other_loss():
    model = zoo.GPT2CausalLM(zoo.GPT2(vocabulary_size=9, **TINY))
    with pytest.raises(ValueError, match="`loss` must not be given to `compile`: .* loss='mse'"):
        model.compile("sgd", loss="mse")
    # Keras would keep the loss.
    model.compile("sgd", run_eagerly=True)
    inputs = {"token_ids": np.ones((1, 3), "int32"), "padding_mask": np.ones((1, 3), bool)}
    assert model.evaluate(inputs, verbose=0) > 0


def test_a_file_keeps_what_compile_was_given(tmp_path):
    model = zoo.GPT2CausalLM(zoo.GPT2(vocabulary_size=9, **TINY))
    model.compile(keras.optimizers.Adam(0.25))
    model.optimizer.build(model.trainable_variables)
    model.save(tmp_path / "model.keras")
    copy = zoo.load_model(tmp_path / "model.keras")
    assert copy.compiled and copy.optimizer.learning_rate == 0.25
    assert len(copy.optimizer.variables) == len(model.optimizer.variables)


def test_half_precision_on_disk(model, folder, tmp_path):
    model.save_to_preset(tmp_path / "half", dtype="float16")
    whole, half = ((at / "model.safetensors").stat().st_size for at in (folder, tmp_path / "half"))
    numbers = sum(value.size for value in weights_of(model).values())
    assert whole - half == pytest.approx(2 * numbers, abs=200)
    loaded = zoo.ElmoLM.from_preset(tmp_path / "half")
    assert {v.dtype for v in loaded.weights} == {"float32"}
    assert_same_weights(model, loaded, tolerance=2**-11)
    kernel = weights_of(model)["lm_head/kernel"]
    rounded = kernel.astype("float16").astype("float32")
    np.testing.assert_array_equal(weights_of(loaded)["lm_head/kernel"], rounded)
    assert (rounded != kernel).any()


def test_saving_again_replaces_the_whole_folder(model, folder):
    model.lm_head.bias.assign(np.arange(5.0))
    model.save_to_preset(folder)
    assert not (folder / "README.md").exists()
    assert_same_weights(model, zoo.ElmoLM.from_preset(folder))
    assert [path.name for path in folder.parent.iterdir()] == ["saved"]


@pytest.mark.parametrize("failing", ["write_safetensors", "os.replace"])
def test_failed_save_leaves_the_old_preset(failing, model, folder, monkeypatch):
    """Also if the disk is full, or the new folder cannot take its place."""
    old = {path.name: path.read_bytes() for path in folder.iterdir()}
    real = presets.os.replace

    def fail(source, target):
        if failing == "os.replace" and "older" in f"{source}{target}":
            return real(source, target)  # the old folder goes aside and comes back
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(f"polysemy.zoo.preset.{failing}", fail)
    with pytest.raises(OSError, match="No space left"):
        model.save_to_preset(folder)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == old
    assert [path.name for path in folder.parent.iterdir()] == ["saved"]


def test_other_folders_are_left_alone(model, tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    for place in (tmp_path, tmp_path / "notes.txt"):
        with pytest.raises(FileExistsError, match="`directory` must be new, empty or hold a pre"):
            model.save_to_preset(place)
    assert (tmp_path / "notes.txt").read_text() == "mine"


def test_registered_preset(model, registered):
    name = registered()
    assert name in list_presets("elmo_te*") and name not in list_presets("bert_*")
    assert get_preset(name).license == "CC0-1.0"
    assert_same_weights(model, zoo.ElmoLM.from_preset(name))
    nowhere = registered("elmo_nowhere_en", path=None)
    with pytest.raises(ValueError, match="must have `path`, or `url` and `archive_sha256`"):
        zoo.Elmo.from_preset(nowhere)
    with pytest.raises(ValueError, match="`name` must be new. Received: name='elmo_test_en'"):
        registered(description="Another.")


def test_corrupt_weights(folder, registered):
    name = registered()
    weights = bytearray((folder / "model.safetensors").read_bytes())
    weights[-1] ^= 1
    (folder / "model.safetensors").write_bytes(weights)
    with pytest.raises(ValueError, match="preset 'elmo_test_en' must have SHA-256"):
        zoo.ElmoLM.from_preset(name)
    (folder / "model.safetensors").write_bytes(weights[:1000])
    with pytest.raises(ValueError, match="must be a whole safetensors file.*saved"):
        zoo.ElmoLM.from_preset(folder)


def test_misfitting_weights(folder):
    config = json.loads((folder / "config.json").read_text())
    config["config"]["vocabulary"].append("dog")
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(ValueError, match="tensor 'lm_head/bias' of shape .5,. does not fit"):
        zoo.ElmoLM.from_preset(folder)


def test_unknown_name(registered, tmp_path):
    registered()
    with pytest.raises(ValueError, match="'elmo_tets_en'. Nearest names: .*elmo_test_en"):
        zoo.Elmo.from_preset("elmo_tets_en")
    with pytest.raises(ValueError, match="must be a registered name or a folder"):
        zoo.Elmo.from_preset(tmp_path)


@pytest.fixture
def archive(folder, tmp_path):
    return shutil.make_archive(str(tmp_path / "web" / "elmo"), "gztar", folder)


def test_downloaded_preset(model, archive, registered, tmp_path):
    handler = functools.partial(_Quiet, directory=str(tmp_path / "web"))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        url = f"http://127.0.0.1:{server.server_port}/elmo.tar.gz"
        name = registered(path=None, url=url, archive_sha256=sha256(archive))
        bad = registered("elmo_bad_en", path=None, url=url, archive_sha256="0" * 64)
        try:
            assert_same_weights(model, zoo.ElmoLM.from_preset(name))
            with pytest.raises(ValueError, match="`checksum` must be the file's SHA-256"):
                zoo.ElmoLM.from_preset(bad)
        finally:
            server.shutdown()
            thread.join()
    assert_same_weights(model, zoo.ElmoLM.from_preset(name))  # without the server


def test_archive_without_a_preset(registered, tmp_path):
    (tmp_path / "web" / "x").mkdir(parents=True)
    archive = shutil.make_archive(str(tmp_path / "other"), "gztar", tmp_path / "web")
    url = (tmp_path / "other.tar.gz").as_uri()
    name = registered(path=None, url=url, archive_sha256=sha256(archive))
    with pytest.raises(ValueError, match="A preset's archive must hold config.json"):
        zoo.Elmo.from_preset(name)


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format, *args):
        pass


def test_public_names():
    assert {"Elmo", "ElmoLM", "Preset", "list_presets"} <= set(dir(zoo))
    assert all(getattr(zoo, name) is not None for name in zoo._HOMES)
    with pytest.raises(AttributeError, match="has no attribute 'Elmos'. Its names: Backbone, "):
        _ = zoo.Elmos
