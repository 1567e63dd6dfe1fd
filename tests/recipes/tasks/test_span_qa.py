"""Span QA: answers found over windows, scores, no answers, and the model's own `answer`."""

from typing import Any

import numpy as np
import pytest

from polysemy.recipes.config import Experiment, TrainerConfig
from polysemy.recipes.data.qa_features import question_features
from polysemy.recipes.data.squad import questions
from polysemy.recipes.run import build_trainer
from polysemy.recipes.tasks.span_qa import SpanQA


@pytest.fixture(scope="module")
def experiment(tiny_bert):
    task = SpanQA(
        corpus="tiny_v1",
        encoder=tiny_bert.preset,
        batch_size=8,
        max_length=20,
        stride=6,
        max_question_length=6,
    )
    trainer = TrainerConfig(steps=45, steps_per_epoch=45, learning_rate=0.015)
    return Experiment("span_qa", task, trainer, seeds=(1,))


@pytest.fixture(scope="module")
def trainer(experiment, tmp_path_factory):
    trainer = build_trainer(experiment.run("default", 1), tmp_path_factory.mktemp("qa"))
    trainer.train()
    return trainer


def test_features_of_each_window(trainer, tiny_bert):
    preprocessor = trainer.model.preprocessor
    asked = list(questions("tiny_v2", None, "dev"))[:3]
    found = question_features(asked, preprocessor, 20, 6, 6)
    vocabulary = preprocessor.vocabulary
    for feature in found:
        assert len(feature.windows) == len(feature.rows) > 1
        for window, row in zip(feature.windows, feature.rows, strict=True):
            pieces = [vocabulary[i] for i in row["token_ids"]]
            assert pieces[0] == "[CLS]" and pieces.count("[SEP]") == 2 and len(pieces) <= 20
            assert row["segment_ids"] == [0] * window.offset + [1] * (len(pieces) - window.offset)
            text = " ".join(pieces[row["start"] : row["end"] + 1])
            answers = feature.question["answers"]
            assert text in ("[CLS]", *answers[:1])
        holds = [row["start"] > 0 for row in feature.rows]
        assert any(holds) == bool(feature.question["answers"])
        assert feature.text(0, 1) == "ada is"


def test_it_learns_the_answers(trainer):
    assert trainer.evaluate("test") == {"f1": 1.0, "exact_match": 1.0}


def test_answers_are_those_of_the_model(trainer, tiny_bert):
    """Windows, scores and offsets here in Python, there in TensorFlow's graph."""
    texts, _ = trainer.task.answers(trainer.model, "dev")
    asked = [entry for entry in tiny_bert.QUESTIONS if entry[2]]
    found = trainer.model.answer([q for _, q, _ in asked], [tiny_bert.CONTEXT] * len(asked))
    assert [a.decode() for a in found["answer"].numpy()] == [texts[f"{q}/0"] for q, _, _ in asked]


def test_a_question_without_an_answer(experiment, tmp_path):
    overrides = ["task.corpus=tiny_v2", "task.null_answers=true"]
    trainer = build_trainer(experiment.run("default", 1, overrides), tmp_path)
    trainer.train()
    scores = trainer.evaluate("dev")
    assert set(scores) == {"f1", "exact_match", "answerable_f1", "unanswerable_accuracy"}
    assert scores["f1"] == 1.0
    task: Any = trainer.task
    _, differences = task.answers(trainer.model, "test")
    threshold = task.details(trainer.model)["null_threshold"]
    assert differences["q3/0"] > threshold >= max(differences["q1/0"], differences["q2/9"])
    assert np.isfinite(list(differences.values())).all()
