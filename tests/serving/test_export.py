"""serving.export: the same answers after reloading, and nothing half-written."""

import errno
import os
import shutil
import sys
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from polysemy import serving
from polysemy.serving.export import versions


def test_signatures_have_names_dtypes_and_a_free_batch(models):
    loaded = tf.saved_model.load(str(models / "toy" / "3"))
    assert set(loaded.signatures) == {"serving_default", "tokens", "ids", "count"}

    def inputs(signature):
        _, named = loaded.signatures[signature].structured_input_signature
        return {name: (spec.dtype.name, spec.shape.as_list()) for name, spec in named.items()}

    assert inputs("serving_default") == {"sentences": ("string", [None])}
    assert inputs("tokens") == {
        "tokens": ("string", [None, None]),
        "sequence_len": ("int32", [None]),
    }
    assert inputs("ids") == {
        "token_ids": ("int32", [None, None]),
        "padding_mask": ("bool", [None, None]),
    }


def test_text_signature_answers_as_the_model(models, direct, sentences):
    loaded = tf.saved_model.load(str(models / "toy" / "3"))
    outputs = loaded.signatures["serving_default"](sentences=tf.constant(sentences))
    assert set(outputs) == {"words", "sequence_output", "default"}
    np.testing.assert_array_equal(outputs["words"], direct["words"])
    for name in ("sequence_output", "default"):
        assert np.abs(outputs[name] - direct[name]).max() < 1e-5
    assert np.abs(direct["default"][:3]).min() > 0


def test_tokens_behind_the_length_are_padding(models, direct):
    signature = tf.saved_model.load(str(models / "toy" / "3")).signatures["tokens"]
    tokens = [["the", "bank", "was", "robbed", "rose"], ["café", "the", "the", "x", ""]]
    outputs = signature(tokens=tf.constant(tokens), sequence_len=tf.constant([4, 1]))
    np.testing.assert_allclose(outputs["default"], direct["default"][1:3], atol=1e-5)
    assert outputs["words"].numpy()[1].tolist() == ["café".encode(), b"", b"", b"", b""]


@pytest.mark.parametrize("lengths", [[1, 2, 3], [3], [-1], []])
def test_lengths_that_do_not_fit_the_tokens(models, lengths):
    signature = tf.saved_model.load(str(models / "toy" / "3")).signatures["tokens"]
    with pytest.raises(tf.errors.InvalidArgumentError, match="`sequence_len` must hold a number"):
        signature(tokens=tf.constant([["the", "x"]]), sequence_len=tf.constant(lengths, tf.int32))


def test_ids_signature_takes_the_models_inputs(models, toy):
    inputs = {
        "token_ids": tf.constant([[2, 3, 4], [5, 6, 0]]),
        "padding_mask": tf.constant([[True, True, False], [True, True, False]]),
    }
    signature = tf.saved_model.load(str(models / "toy" / "3")).signatures["ids"]
    expected = toy(inputs)["sequence_output"]
    np.testing.assert_allclose(signature(**inputs)["sequence_output"], expected, atol=1e-5)


def test_an_empty_batch_has_empty_outputs(models):
    loaded = tf.saved_model.load(str(models / "toy" / "3"))
    outputs = loaded.signatures["serving_default"](sentences=tf.constant([], tf.string))
    assert outputs["default"].shape == (0, 4)
    assert outputs["sequence_output"].shape == (0, 0, 4)


def test_reusable_interface_with_parts(models, toy, direct, sentences):
    loaded = tf.saved_model.load(str(models / "toy" / "3"))
    outputs = loaded(tf.constant(sentences))
    np.testing.assert_allclose(outputs["default"], direct["default"], atol=1e-5)
    dropped = loaded(tf.constant(sentences), training=True)["default"]
    assert np.abs(dropped - direct["default"]).max() > 1e-3
    features = loaded.preprocessor(tf.constant(sentences))
    assert set(features) == {"token_ids", "padding_mask"}
    encoded = loaded.encoder(features, training=False)["sequence_output"]
    np.testing.assert_allclose(encoded, direct["sequence_output"], atol=1e-5)
    words = {"tokens": tf.constant([["café"]]), "sequence_len": tf.constant([1])}
    np.testing.assert_allclose(loaded.tokens(words)["default"], direct["default"][2:3], atol=1e-5)
    for part in (loaded, loaded.encoder, loaded.tokens):
        assert len(part.trainable_variables) == len(toy.trainable_variables) == 3
        assert len(part.variables) >= 4  # the dropout's seed, too
        loss = sum(loss() for loss in part.regularization_losses)
        np.testing.assert_allclose(loss, sum(toy.losses), rtol=1e-6)
    assert not loaded.preprocessor.trainable_variables


def test_call_ids_makes_the_encoder_callable(make_model, tmp_path):
    model = make_model()
    loaded = tf.saved_model.load(serving.export(model, tmp_path, call="ids"))
    inputs = model.preprocessor(["the bank"])
    del inputs["unused"]
    np.testing.assert_allclose(
        loaded(inputs)["sequence_output"], model(inputs)["sequence_output"], atol=1e-5
    )


def test_saving_traces_no_function_again(make_model, tmp_path, monkeypatch):
    model, traced, counts, save = make_model(), [], [], tf.saved_model.save
    tokenize = model.preprocessor.tokenize
    model.preprocessor.tokenize = lambda x: traced.append(x) or tokenize(x)

    def saved(*arguments, **options):
        counts.append(len(traced))
        save(*arguments, **options)
        counts.append(len(traced))

    monkeypatch.setattr(tf.saved_model, "save", saved)
    serving.export(model, tmp_path)
    assert counts[0] == counts[1] > 0


def test_model_with_one_tensor_and_no_preprocessor(tmp_path):
    inputs = keras.Input((3,), name="features")
    model = keras.Model(inputs, keras.layers.Dense(2)(inputs))
    features = np.array([[1.0, 2.0, 3.0]], "float32")
    path = serving.export(model, tmp_path, warmup={"features": features})
    loaded = tf.saved_model.load(path)
    assert set(loaded.signatures) == {"serving_default", "ids"}
    outputs = loaded.signatures["serving_default"](features=tf.constant(features))
    np.testing.assert_allclose(outputs["output_0"], model(features), atol=1e-5)
    np.testing.assert_allclose(loaded(tf.constant(features)), model(features), atol=1e-5)


def test_assets_move_with_the_folder_and_survive_another_export(make_model, tmp_path):
    model = make_model()
    path = serving.export(model, tmp_path / "a")
    assert [name for name in os.listdir(f"{path}/assets")] == ["words.txt"]
    shutil.move(path, tmp_path / "moved")
    loaded = tf.saved_model.load(str(tmp_path / "moved"))
    before = loaded.signatures["serving_default"](sentences=tf.constant(["the bank"]))
    tf.saved_model.save(loaded, str(tmp_path / "again"), signatures=dict(loaded.signatures))
    shutil.rmtree(tmp_path / "moved")
    again = tf.saved_model.load(str(tmp_path / "again"))
    after = again.signatures["serving_default"](sentences=tf.constant(["the bank"]))
    np.testing.assert_array_equal(before["default"], after["default"])


def test_versions_count_up_from_the_highest(make_model, tmp_path):
    model = make_model()
    (tmp_path / "notes").mkdir()
    assert serving.export(model, tmp_path) == str(tmp_path / "1")
    assert serving.export(model, tmp_path, version=7) == str(tmp_path / "7")
    assert serving.export(model, tmp_path) == str(tmp_path / "8")
    assert versions(tmp_path) == [1, 7, 8]
    with pytest.raises(ValueError, match=r"`version` must not exist yet .* version=7"):
        serving.export(model, tmp_path, version=7)


@pytest.mark.parametrize(
    "failure",
    [
        OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)),
        tf.errors.ResourceExhaustedError(None, None, "No space left on device"),
    ],
)
def test_full_disk_leaves_nothing_behind(make_model, tmp_path, monkeypatch, failure):
    model = make_model()
    serving.export(model, tmp_path / "toy")
    before = sorted(str(path) for path in (tmp_path / "toy").rglob("*"))

    def save_half(root, path, signatures):
        os.makedirs(f"{path}/variables")
        with open(f"{path}/saved_model.pb", "wb") as file:
            file.write(b"half")
        raise failure

    monkeypatch.setattr(tf.saved_model, "save", save_half)
    for directory in (tmp_path / "toy", tmp_path / "new" / "deep"):
        with pytest.raises(OSError, match="room for the model.*No space left on device"):
            serving.export(model, directory)
    assert sorted(str(path) for path in (tmp_path / "toy").rglob("*")) == before
    assert not (tmp_path / "new" / "deep").exists()


def test_unwritable_directory_is_one_clear_error(make_model, tmp_path):
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(OSError, match="`directory` must be writable.*Not a directory"):
        serving.export(make_model(), tmp_path / "file" / "toy")
    assert os.listdir(tmp_path) == ["file"]


def test_a_version_that_answers_differently_is_refused(make_model, tmp_path, monkeypatch):
    model = make_model()
    load = tf.saved_model.load

    def load_changed(path):
        loaded = load(path)
        loaded.trainable_variables[0].assign_add(tf.ones_like(loaded.trainable_variables[0]))
        return loaded

    monkeypatch.setattr(tf.saved_model, "load", load_changed)
    with pytest.raises(RuntimeError, match="must equal the model's to 1e-05"):
        serving.export(model, tmp_path / "toy")
    assert not (tmp_path / "toy").exists()


def test_half_precision_is_compared_at_the_scale_of_the_output(tmp_path, monkeypatch):
    inputs = keras.Input((2,), name="features")
    dense = keras.layers.Dense(2, dtype="mixed_bfloat16")
    model = keras.Model(inputs, dense(inputs))
    model.dtype_policy = dense.dtype_policy
    dense.set_weights([np.diag([10.0, 0.0]), np.zeros(2)])
    load = tf.saved_model.load

    def load_changed(path):
        loaded = load(path)
        loaded.trainable_variables[1].assign([0.0, change])
        return loaded

    monkeypatch.setattr(tf.saved_model, "load", load_changed)
    change, features = 0.1, {"features": [[1.0, 1.0]]}  # a hundredth of the largest output
    serving.export(model, tmp_path, warmup=features)
    change = 1.0
    with pytest.raises(RuntimeError, match="must equal the model's to 0.02"):
        serving.export(model, tmp_path, warmup=features)


def test_wrong_arguments_are_named(make_model, tmp_path):
    model = make_model()
    inputs = keras.Input((3,), name="features")
    plain = keras.Model(inputs, keras.layers.Dense(2)(inputs))
    cases: list[tuple[tuple[Any, ...], str]] = [
        ((model, tmp_path, -1), "`version` must be an integer"),
        (
            (model, tmp_path, None, "words"),
            "`call` must be 'text', 'ids' or 'preprocessor'. Received: call='words'",
        ),
        ((plain, tmp_path, None, "text"), "`call` must be 'ids'"),
        ((model, tmp_path, None, None, "one"), "`warmup` must be a list of sentences"),
        ((plain, tmp_path, None, None, ["one"]), "`warmup` must be arrays by input name"),
        ((plain, tmp_path, None, None, {"x": [1.0]}), r"`warmup` must have \['features'\]"),
        ((keras.Sequential([keras.layers.Dense(2)]), tmp_path), "`model` must be a built"),
    ]
    for arguments, message in cases:
        with pytest.raises(ValueError, match=message):
            serving.export(*arguments)
    model.preprocessor = lambda sentences: {}
    with pytest.raises(ValueError, match="`model.preprocessor` must be a tf.Module"):
        serving.export(model, tmp_path)
    assert os.listdir(tmp_path) == []


def test_preprocessor_without_an_input_of_the_model_is_named(make_model, tmp_path, monkeypatch):
    model = make_model()
    monkeypatch.setattr(
        type(model.preprocessor), "__call__", lambda self, s: {"token_ids": tf.zeros((1, 1))}
    )
    with pytest.raises(ValueError, match=r"every input of the model.*without \['padding_mask'\]"):
        serving.export(model, tmp_path)


def test_the_package_keeps_the_function_under_its_name():
    assert callable(serving.export)
    assert sys.modules["polysemy.serving.export"].export is serving.export
