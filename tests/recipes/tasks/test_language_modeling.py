"""The language modeling task: vocabulary, perplexity, resumption, fine-tuning, export."""

import csv
import dataclasses
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
import tensorflow_hub as hub

from polysemy.recipes.run import build_trainer, run_experiment
from polysemy.zoo.elmo.backbone import Elmo
from polysemy.zoo.elmo.lm import ElmoLM

FOLDER = "language_modeling/default/seed1"


@pytest.fixture(scope="module")
def experiment(tiny):
    return tiny.EXPERIMENTS["language_modeling"]


@pytest.fixture(scope="module")
def run(experiment, tmp_path_factory):
    """The folder and the summary of a run that was trained, evaluated and exported."""
    out = tmp_path_factory.mktemp("run")
    summary = run_experiment(experiment, ["train", "evaluate", "export"], out=out)
    return out / FOLDER, summary["default"]


@pytest.fixture(scope="module")
def trained(run):
    """The preset's model, and it forgets between two calls."""
    model = ElmoLM.from_preset(run[0] / "preset")
    assert not model.backbone.stateful_lm
    return model


def losses(path):
    with open(path / "metrics.csv", newline="") as file:
        return [float(row["loss"]) for row in csv.DictReader(file)]


def test_vocabulary(experiment, tmp_path):
    resolved = experiment.run("default", 1, ["task.min_count=2", "task.model.hidden_dim=8"])
    trainer = build_trainer(resolved, tmp_path)
    task: Any = trainer.task
    words = task.vocabulary
    assert words[:3] == ["<S>", "</S>", "<UNK>"]
    # By falling frequency, equally frequent ones by name.
    assert words[3:] == ["Bo", "Rome", "cat", "sat", "the"] + ["Ada", "New", "far", "from", "in"]
    assert trainer.model.backbone.hidden_dim == 8
    (batch,) = trainer.task.train_dataset(1).take(1)
    assert batch["targets"].shape == (4, 3) and (batch["targets"].numpy() == 2).any()
    assert int(trainer.task.count_tokens(batch)) == (batch["targets"].numpy() >= 0).sum()


def test_perplexity_is_that_of_every_token(run, trained, tiny):
    """From whole sentences one by one would be another measure: rows go on with their state. So
    the same rows are read here, the loss of every position collected, and averaged by numpy.
    """
    folder, scores = run
    resolved = tiny.EXPERIMENTS["language_modeling"].run("default", 1)
    task = resolved.task.create(resolved)
    task.setup(folder)
    states = {"stateful": True, "state_batch_size": task.config.batch_size}
    model = ElmoLM.from_preset(folder / "preset", backbone=states)
    task._preprocessor = model.preprocessor
    collected = {"forward": [], "backward": []}
    for batch in task._batches("test"):
        outputs = model(batch)
        for name, targets in (("forward", "targets"), ("backward", "reverse_targets")):
            known = batch[targets].numpy() >= 0
            collected[name].append(outputs[f"{name}_loss"].numpy()[known])
    forward, backward = (np.concatenate(x).astype("float64") for x in collected.values())
    assert (
        len(forward)
        == len(backward)
        == sum(len(words.split()) + 1 for words, _ in tiny.SHARES["test"])
    )
    expected = {
        "test_perplexity": np.exp(np.mean([forward, backward])),
        "test_forward_perplexity": np.exp(forward.mean()),
        "test_backward_perplexity": np.exp(backward.mean()),
    }
    for name, value in expected.items():
        assert scores[name][0] == pytest.approx(value, rel=1e-4)


class Interruption(keras.callbacks.Callback):
    """Stops a training in the middle of its second epoch, as a failure would."""

    def on_train_batch_end(self, batch, logs=None):
        if int(self.model.optimizer.iterations) == 5:
            raise RuntimeError("interrupted")


def test_states_are_part_of_the_backup(experiment, tmp_path, monkeypatch, run):
    """A pass has more than three steps, so the training is cut and resumed inside of one."""
    resolved = experiment.run("default", 1)
    cut = build_trainer(resolved, tmp_path)
    assert sum(1 for _ in cut.task.train_dataset(0)) > 3
    monkeypatch.setattr(cut.task, "callbacks", lambda: [Interruption()])
    with pytest.raises(RuntimeError, match="interrupted"):
        cut.train()
    resumed = build_trainer(resolved, tmp_path)
    restored = resumed._backup.restore
    states = {}

    def spy(model):
        state = restored(model)
        assert state is not None
        states.update(step=state.step, values=[v.numpy() for v in model.transient_variables])
        return state

    monkeypatch.setattr(resumed._backup, "restore", spy)
    resumed.train()
    assert states["step"] == 3 and len(states["values"]) == 8
    assert all(np.abs(value).max() > 0 for value in states["values"])
    assert int(resumed.model.optimizer.iterations) == 6  # the end of a pass is no step
    np.testing.assert_allclose(losses(tmp_path), losses(run[0]), atol=1e-4)
    assert len(losses(tmp_path)) == 2


def test_fine_tuning_starts_from_the_preset(experiment, run, trained, tmp_path):
    task = dataclasses.replace(experiment.task, preset=str(run[0] / "preset"), batch_size=2)
    trainer = build_trainer(
        dataclasses.replace(experiment, task=task).run("default", 1, ["trainer.steps=1"]), tmp_path
    )
    model = trainer.model
    assert model.vocabulary == trained.vocabulary
    assert model.backbone.state_batch_size == 2
    values = {w.path: w.numpy() for w in trained.weights if "seed" not in w.path}
    transient = {id(v) for v in model.transient_variables}
    own = {w.path: w for w in model.weights if id(w) not in transient and "seed" not in w.path}
    assert own.keys() == values.keys()
    for path, value in values.items():
        np.testing.assert_array_equal(own[path], value)
    trainer.train()
    assert any(np.abs(own[path] - value).max() > 0 for path, value in values.items())


def test_the_exported_model_forgets(run, trained, tiny):
    resolved = tiny.EXPERIMENTS["language_modeling"].run("default", 1)
    states = {"stateful": True, "state_batch_size": 2}
    model = ElmoLM.from_preset(run[0] / "preset", backbone=states)
    exported = resolved.task.create(resolved).export_model(model)
    assert isinstance(exported, Elmo)
    assert not exported.stateful_lm and exported.transient_variables == []
    inputs = exported.preprocessor(["Ada sat", "Rome"])
    first, second, direct = (m(inputs) for m in (exported, exported, trained.backbone))
    for name, value in first.items():
        np.testing.assert_array_equal(value, second[name])
        np.testing.assert_allclose(value, direct[name], atol=1e-6)


NAMES = {"word_emb", "lstm_outputs1", "lstm_outputs2", "elmo", "default"}


def test_the_export_answers_as_the_hub_module_did(run, trained):
    folder, _ = run
    sentences = ["Ada sat in Rome", "", "the 猫"]
    backbone = trained.backbone
    inputs = backbone.preprocessor(sentences)
    outputs = backbone(inputs)
    layers = outputs["layer_outputs"].numpy()
    loaded = hub.load(str(folder / "export/1"))
    text = loaded.signatures["serving_default"](sentences=tf.constant(sentences))
    tokens = tf.constant(
        [["Ada", "sat", "in", "Rome"], ["junk", "", "", ""], ["the", "猫", "junk", "junk"]]
    )
    split = loaded.signatures["tokens"](tokens=tokens, sequence_len=tf.constant([4, 0, 2]))
    mask = inputs["padding_mask"].numpy()[..., None]
    elmo = outputs["sequence_output"].numpy()
    expected = {
        "word_emb": outputs["token_output"].numpy(),
        "lstm_outputs1": layers[:, 1],
        "lstm_outputs2": layers[:, 2],
        "elmo": layers.mean(1),  # an untrained mix
        "default": (elmo * mask).sum(1) / np.maximum(mask.sum(1), 1),
    }
    for found in (text, split):
        assert set(found) >= NAMES
        for name, value in expected.items():
            np.testing.assert_allclose(found[name], value, atol=1e-5, err_msg=name)
    np.testing.assert_allclose(loaded(tf.constant(sentences))["elmo"], elmo, atol=1e-5)


def test_unknown_preset_and_corpus(experiment, tmp_path):
    for key, name, message in (
        ("preset", "elmo_tiny_eng", "`preset` must be.*Received: preset='elmo_tiny_eng'"),
        ("corpus", "wikitext", "must be one of.*Received.*'wikitext'.*Nearest: wikitext2"),
    ):
        resolved = experiment.run("default", 1, [f"task.{key}={name}"])
        with pytest.raises(ValueError, match=message):
            build_trainer(resolved, tmp_path)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("min_count=0", "`task.min_count` must be at least 1.*min_count=0"),
        ("num_sampled=99", "`task.num_sampled` must be.*=99, with a vocabulary of 21 words"),
        ("model.filters=[1,8]", r"`task.model.filters` must be a list of pairs.*\[1, 8\]"),
        ("model.filters=wide", "`task.model.filters` must be a list of pairs.*'wide'"),
    ],
)
def test_wrong_values(experiment, tmp_path, override, message):
    resolved = experiment.run("default", 1, [f"task.{override}"])
    with pytest.raises(ValueError, match=message):
        build_trainer(resolved, tmp_path)


def test_filters_and_samples(experiment, run, tmp_path):
    """Filters are read from text; a preset's vocabulary bounds the samples too."""
    resolved = experiment.run("default", 1, ["task.model.filters=[[1,3],[3,5]]"])
    trainer = build_trainer(resolved, tmp_path)
    assert trainer.model.backbone.filters == [[1, 3], [3, 5]]
    overrides = [f"task.preset={run[0] / 'preset'}", "task.num_sampled=99"]
    with pytest.raises(ValueError, match="`task.num_sampled` must be.*vocabulary of"):
        build_trainer(experiment.run("default", 1, overrides), tmp_path)


@pytest.mark.parametrize("split", ["train", "dev", "test"])
def test_an_empty_split(experiment, tmp_path, tiny_corpora, rewrite, split):
    trainer = build_trainer(experiment.run("default", 1), tmp_path)
    rewrite(tiny_corpora / f"{split}.txt", "\n")
    message = f"one sentence of the {split} split of tiny_text. Received: none, in "
    with pytest.raises(ValueError, match=f"{message}.*{split}.txt"):
        _ = trainer.evaluate("test") if split == "test" else trainer.train()
