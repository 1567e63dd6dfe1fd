"""The tagging task: tags, scores, bad tags, a whole run on the package's sample."""

import dataclasses
import json
import re
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from seqeval.metrics import f1_score
from seqeval.scheme import IOBES

from polysemy.recipes.run import build_trainer, run_experiment
from polysemy.zoo.elmo.backbone import Elmo
from polysemy.zoo.tagger.model import Tagger


@pytest.fixture(scope="module")
def experiment(tiny):
    return tiny.EXPERIMENTS["tagging"]


@pytest.fixture(scope="module")
def trainer(experiment, tmp_path_factory):
    run = experiment.run("default", 1, ["trainer.steps=30", "trainer.steps_per_epoch=30"])
    trainer = build_trainer(run, tmp_path_factory.mktemp("ner"))
    trainer.train()
    return trainer


def test_tags_of_every_type(trainer):
    task = trainer.task
    parts = [f"{part}-{kind}" for kind in ("LOC", "PER") for part in "BIES"]
    assert sorted(task.tags) == sorted(["O", *parts])  # I-… is in no sentence
    assert task.monitor == ("f1", "max")
    assert task.words[:2] == ["bo", "cat"] and "Bo" not in task.words
    assert trainer.model.scheme == "BIOES"


def test_batches(trainer, tiny):
    found = []
    for inputs, ids in trainer.task.train_dataset(0):
        mask = inputs["padding_mask"].numpy()
        assert ids.shape == mask.shape
        found += [
            " ".join(trainer.task.tags[i] for i in row[m])
            for row, m in zip(ids.numpy(), mask, strict=True)
        ]
    assert sorted(found) == sorted(tags for _, tags in tiny.SENTENCES)


def test_f1_is_that_of_each_sentence_alone(trainer, tiny):
    scores = trainer.evaluate("test")
    gold, guesses = [], []
    for words, tags in tiny.SHARES["test"]:
        outputs = trainer.model(trainer.model.preprocessor([words]))
        guesses.append([trainer.task.tags[i] for i in outputs["tag_ids"].numpy()[0]])
        gold.append(tags.split())
    expected: Any = f1_score(gold, guesses, mode="strict", scheme=IOBES)
    assert scores["f1"] == pytest.approx(expected) and scores["f1"] > 0
    assert set(scores) == {"f1", "precision", "recall"}


def test_parts_of_speech_are_scored_by_word(experiment, tmp_path, tiny):
    run = experiment.run("default", 1, ["task.corpus=tiny_pos", "task.head=softmax"])
    trainer = build_trainer(run, tmp_path)
    assert trainer.task.monitor == ("accuracy", "max")
    assert trainer.model.scheme is None
    task: Any = trainer.task
    assert task.tags == sorted({t for _, tags in tiny.SENTENCES for t in tags.split()})
    right = total = 0
    for words, tags in tiny.SHARES["dev"]:
        outputs = trainer.model(trainer.model.preprocessor([words]))
        guesses = [task.tags[i] for i in outputs["tag_ids"].numpy()[0]]
        right += sum(a == b for a, b in zip(guesses, tags.split(), strict=True))
        total += len(guesses)
    assert trainer.evaluate("dev") == {"accuracy": pytest.approx(right / total)}
    (batch,) = trainer.task.train_dataset(0).take(1)
    inputs, ids = batch
    words = inputs["padding_mask"].numpy().sum()
    assert int(trainer.task.loss_weight((inputs, ids, None))) == words
    # A CRF's loss is a mean over sentences instead.
    crf = build_trainer(experiment.run("default", 1, ["task.corpus=tiny_pos"]), tmp_path)
    assert int(crf.task.loss_weight((inputs, ids, None))) == len(ids)


@pytest.mark.parametrize(
    ("corpus", "tag", "score", "share", "named"),
    [
        ("tiny_ner", "S-ORG", "recall", 3 / 4, "has entity types that .* a miss: ORG"),
        ("tiny_pos", "OO", "accuracy", 11 / 12, "has tags that the train split .* a miss: OO"),
    ],
)
def test_gold_tags_that_the_train_split_has_not(
    experiment, trainer, tmp_path, tiny_corpora, rewrite, capsys, corpus, tag, score, share, named
):
    """One more span, or word, that is not found."""
    file = tiny_corpora / "test.conll"
    if corpus == "tiny_pos":
        trainer = build_trainer(experiment.run("default", 1, [f"task.corpus={corpus}"]), tmp_path)
    before = trainer.evaluate("test")
    rewrite(file, f"Acme\t{tag}\n\n{file.read_text()}")
    trainer.task.check_data()
    assert re.search(f"^the test split of {corpus} {named}\n$", capsys.readouterr().out)
    assert trainer.evaluate("test")[score] == pytest.approx(before[score] * share)
    assert capsys.readouterr().out == ""  # said once


@pytest.mark.parametrize("split", ["train", "dev", "test"])
def test_an_empty_split(experiment, tmp_path, tiny_corpora, rewrite, split):
    rewrite(tiny_corpora / f"{split}.conll", "\n")
    message = f"at least one sentence of the {split} split of tiny_ner. Received: none, in "
    with pytest.raises(ValueError, match=f"{message}.*{split}.conll"):
        run_experiment(experiment, ["train"], out=tmp_path, variants=["default"])
    assert not (tmp_path / "tagging/default/seed1/checkpoint").exists()


@pytest.mark.parametrize(("scheme", "name"), [("bio", "BIO"), ("IOB", "IOB1")])
def test_other_names_of_a_scheme(experiment, tmp_path, scheme, name):
    trainer = build_trainer(experiment.run("default", 1, [f"task.scheme={scheme}"]), tmp_path)
    task: Any = trainer.task
    assert task.config.scheme == trainer.model.scheme == name
    assert set(trainer.evaluate("dev")) == {"f1", "precision", "recall"}


def test_an_encoder_that_is_none(experiment, tmp_path):
    run = experiment.run("default", 1, ["task.encoder=elmo_tinny_en"])
    with pytest.raises(ValueError, match="Received: preset='elmo_tinny_en'.*Nearest names"):
        build_trainer(run, tmp_path)


def test_train_evaluate_export_on_the_sample(experiment, tiny, tmp_path):
    """The whole way with an encoder: its preset in, the tagger's preset and SavedModel out."""
    Elmo(**tiny.ELMO).save_to_preset(tmp_path / "encoder")
    task = dataclasses.replace(
        experiment.task,
        corpus="sample_ner",
        encoder=str(tmp_path / "encoder"),
        batch_size=32,
    )
    run_experiment(
        dataclasses.replace(experiment, task=task),
        ["train", "evaluate", "export"],
        ["trainer.steps=2"],
        out=tmp_path,
        variants=["default"],
    )
    folder = tmp_path / "tagging/default/seed1"
    result = json.loads((folder / "result.json").read_text())
    assert result["headline"] == "test_f1" and set(result["scores"]) >= {"dev_f1", "test_recall"}
    weights = result["details"]["layer_weights"]
    assert list(weights) == ["input"] and len(weights["input"]) == 3

    tagger = Tagger.from_preset(folder / "preset")
    encoder, mixes = tagger.backbone.weights, tagger.mixes.values()
    assert not any(w.trainable for w in encoder) and all(m.gamma.trainable for m in mixes)
    assert {k: pytest.approx(v) for k, v in tagger.layer_weights().items()} == weights
    sentences = ["Ada Lee sat by the river in Rome .", "", "Ōsaka 🏙️"]
    inputs = tagger.preprocessor(sentences)
    outputs = tagger(inputs)
    tokens = tagger.preprocessor.tokenize(sentences)
    expected = tagger.serving_outputs(outputs, {**inputs, "tokens": tokens.to_tensor("")})
    loaded = tf.saved_model.load(str(folder / "export/1"))
    served = loaded.signatures["serving_default"](sentences=tf.constant(sentences))
    lengths = tf.cast(tokens.row_lengths(), tf.int32)
    split = loaded.signatures["tokens"](tokens=tokens.to_tensor("junk"), sequence_len=lengths)
    for found in (served, split):
        assert set(found) == {"tokens", "tags", "probabilities"}
        np.testing.assert_array_equal(found["tokens"], expected["tokens"])
        np.testing.assert_array_equal(found["tags"], expected["tags"])
        np.testing.assert_allclose(found["probabilities"], expected["probabilities"], atol=1e-5)
    assert (folder / "export/1/assets").is_dir()
    assert any((folder / "export/1/assets").iterdir())  # the vocabulary


@pytest.mark.parametrize("model", ["tagger", "bert"])
def test_an_encoder_of_another_kind(experiment, tmp_path, tiny, tiny_bert, model):
    """A BERT by its folder, under recurrent layers and by itself."""
    head = "crf" if model == "tagger" else "softmax"
    overrides = [f"task.encoder={tiny_bert.preset}", f"task.model={model}", f"task.head={head}"]
    overrides.append("trainer.steps=1")
    trainer = build_trainer(experiment.run("default", 1, overrides), tmp_path)
    (batch,) = trainer.task.train_dataset(0).take(1)
    words = sum(len(words.split()) for words, _ in tiny.SENTENCES)
    counts = [int(trainer.task.loss_weight(batch)) for batch in trainer.task.train_dataset(0)]
    assert sum(counts) == (words if model == "bert" else len(tiny.SENTENCES))
    if model == "bert":
        trainer.train()
    assert set(trainer.evaluate("test")) == {"f1", "precision", "recall"}
    details = trainer.task.details(trainer.model)
    assert details == {} if model == "bert" else len(details["layer_weights"]["input"]) == 3


def test_models_that_are_none(experiment, tmp_path):
    for overrides, message in (
        (["task.model=bart"], '`task.model` must be "tagger" or "bert".*\'bart\''),
        (["task.model=bert"], "`task.encoder` must be given.*encoder=None"),
        (["task.min_count=0"], "`task.min_count` must be at least 1.*min_count=0"),
    ):
        with pytest.raises(ValueError, match=message):
            build_trainer(experiment.run("default", 1, overrides), tmp_path)
