"""Classification: batches, scores of each text alone, frozen encoders, numbers, an export."""

import json
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from polysemy.recipes.config import Experiment, TrainerConfig
from polysemy.recipes.metrics import label_scores
from polysemy.recipes.run import build_trainer, run_experiment
from polysemy.recipes.tasks.classification import Classification
from polysemy.zoo import BertTextClassifier


@pytest.fixture(scope="module")
def experiment(tiny_bert):
    return Experiment(
        "classification",
        Classification(corpus="tiny_texts", encoder=tiny_bert.preset, batch_size=4, dropout=0.0),
        TrainerConfig(steps=30, optimizer="adamw", learning_rate=0.01, weight_decay=0.01),
        seeds=(1,),
    )


@pytest.fixture(scope="module")
def trainer(experiment, tmp_path_factory):
    run = experiment.run("default", 1, ["trainer.steps_per_epoch=30"])
    trainer = build_trainer(run, tmp_path_factory.mktemp("texts"))
    trainer.train()
    return trainer


def test_it_learns_and_scores_each_text(trainer, tiny_bert):
    scores = trainer.evaluate("test")
    model, labels = trainer.model, ("negative", "positive")
    true = [labels.index(label) for _, label in tiny_bert.TEXTS]
    guesses = [
        int(model(model.preprocessor([text]))["logits"].numpy().argmax())
        for text, _ in tiny_bert.TEXTS
    ]
    assert scores == pytest.approx(label_scores(true, guesses, ["accuracy", "f1"]))
    assert scores["accuracy"] > 0.8 and trainer.task.monitor == ("accuracy", "max")


def test_batches_are_cut(experiment, tmp_path):
    run = experiment.run("default", 1, ["task.max_length=6"])
    task: Any = build_trainer(run, tmp_path).task
    seen = 0
    for inputs, labels in task.train_dataset(3):
        ids, mask = inputs["token_ids"].numpy(), inputs["padding_mask"].numpy()
        assert ids.shape[1] <= 6 and mask.any(0).all()
        assert (ids[np.arange(len(ids)), mask.sum(1) - 1] == 3).all()  # [SEP] is kept
        seen += len(labels)
    assert seen == 60


def test_pairs_have_two_segments(experiment, tmp_path, tiny_bert):
    run = experiment.run("default", 1, ["task.corpus=tiny_pairs"])
    trainer = build_trainer(run, tmp_path)
    for inputs, _ in trainer.task.train_dataset(3):
        assert inputs["segment_ids"].numpy().max(1).all()
    texts, pairs, _ = zip(*tiny_bert.PAIRS[:2], strict=True)
    direct = trainer.model.preprocessor(list(texts), list(pairs))
    task: Any = trainer.task
    batch = {"text": tf.constant(texts), "pair": tf.constant(pairs)}
    for name, value in task._inputs(batch).items():
        np.testing.assert_array_equal(value, direct[name])


def test_a_frozen_encoder_stands_still(experiment, tmp_path):
    overrides = ["task.encoder_training=frozen", "task.features=-1,0", "trainer.steps=3"]
    trainer = build_trainer(experiment.run("default", 1, overrides), tmp_path)
    before = [w.numpy() for w in trainer.model.backbone.weights]
    head = trainer.model.scores.kernel.numpy()
    assert head.shape == (32, 2)  # two layers side by side
    trainer.train()
    for weight, value in zip(trainer.model.backbone.weights, before, strict=True):
        np.testing.assert_array_equal(weight, value)
    assert np.abs(trainer.model.scores.kernel.numpy() - head).max() > 0


def test_an_encoder_without_its_training(experiment, tmp_path, tiny_bert):
    weights = []
    for pretrained in (True, False):
        run = experiment.run("default", 1, [f"task.pretrained={pretrained}"])
        model = build_trainer(run, tmp_path).model
        weights.append(model.backbone.embeddings.token_embeddings.numpy())
    assert weights[0].shape == weights[1].shape and np.abs(weights[0] - weights[1]).max() > 0


def test_numbers_are_regressed(experiment, tmp_path, tiny_bert):
    overrides = ["task.corpus=tiny_scores", "trainer.steps=10"]
    trainer = build_trainer(experiment.run("default", 1, overrides), tmp_path)
    model = trainer.model
    assert model.num_classes == 1
    before = error = 9.0
    for _ in range(2):
        texts, pairs, true = zip(*tiny_bert.SCORES, strict=True)
        guesses = model(model.preprocessor(list(texts), list(pairs)))["logits"].numpy()[:, 0]
        before, error = error, float(np.mean((guesses - true) ** 2))
        if trainer.state.step == 0:
            trainer.train()
    assert error < before
    scores = trainer.evaluate("dev")
    # Ten steps leave the numbers close together, where rounding tells in a correlation.
    assert scores == pytest.approx(label_scores(true, guesses, ["spearman", "pearson"]), abs=0.02)


def test_bad_settings(experiment, tmp_path):
    for override, message in (
        ("task.encoder_training=half", "`task.encoder_training` must be.*'half'"),
        ("task.corpus=tiny_text", "`task.corpus` must be one of.*Nearest: tiny_texts"),
        ("task.encoder=minilm", "Received: preset='minilm'.*Nearest names: minilm_l6_en"),
    ):
        with pytest.raises(ValueError, match=message):
            build_trainer(experiment.run("default", 1, [override]), tmp_path)


def test_the_export_answers_as_the_model(experiment, tmp_path, tiny_bert):
    run_experiment(experiment, ["train", "evaluate", "export"], ["trainer.steps=2"], out=tmp_path)
    folder = tmp_path / "classification/default/seed1"
    result = json.loads((folder / "result.json").read_text())
    assert result["headline"] == "test_accuracy" and "test_f1" in result["scores"]
    kept = BertTextClassifier.from_preset(folder / "preset")
    assert kept.labels == ["negative", "positive"]
    sentences = ["a good film", ""]
    served = tf.saved_model.load(str(folder / "export/1")).signatures["serving_default"]
    expected = kept(kept.preprocessor(sentences))["probabilities"]
    found = served(sentences=tf.constant(sentences))
    np.testing.assert_allclose(found["probabilities"], expected, atol=1e-5)
