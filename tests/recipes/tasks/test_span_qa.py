"""Span QA: answers found over windows, scores, no answers, and the model's own `answer`."""

import json
from typing import Any

import numpy as np
import pytest

from polysemy.recipes.config import Experiment, TrainerConfig
from polysemy.recipes.data.qa_features import question_features
from polysemy.recipes.data.squad import CORPORA, questions
from polysemy.recipes.run import build_trainer, export_run, run_experiment
from polysemy.recipes.tasks.span_qa import SpanQA
from polysemy.zoo.bert.span_qa import BertSpanQA


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


@pytest.fixture
def squad20(tiny_bert, tmp_path):
    """A folder with SQuAD 2.0's published files, tiny; ten paragraphs of which one is dev."""
    corpus = CORPORA["squad20"]
    (article,) = tiny_bert.squad_data(impossible=True)["data"]
    for entry in (entry for part in article["paragraphs"] for entry in part["qas"]):
        if entry["is_impossible"]:  # as published
            entry["plausible_answers"] = [{"text": "bo", "answer_start": 17}]
    for split, copies in (("train", 2), ("test", 1)):
        path = tmp_path / "data" / corpus.files[split]
        path.parent.mkdir(parents=True, exist_ok=True)
        data = [{**article, "paragraphs": article["paragraphs"] * copies}]
        path.write_text(json.dumps({"version": "v2.0", "data": data}))
    return tmp_path / "data"


def test_squad20_is_served_by_the_rule_that_was_scored(
    experiment, tmp_path, squad20, tiny_bert, monkeypatch
):
    served = []
    monkeypatch.setattr("polysemy.serving.export", lambda model, to: served.append(model) or to)
    monkeypatch.setattr("polysemy.recipes.experiments.get", lambda name: experiment)
    threshold = 1.25  # none that a model has by itself
    monkeypatch.setattr(
        "polysemy.recipes.tasks.span_qa.best_null_threshold", lambda *given: (threshold, 1.0)
    )
    overrides = [
        "task.corpus=squad20",
        "task.null_answers=true",
        f"data.root={squad20}",
        "trainer.steps=2",
        "trainer.steps_per_epoch=2",
    ]
    scores = run_experiment(
        experiment, ("train", "evaluate", "export"), overrides, tmp_path / "runs"
    )
    assert "test_unanswerable_accuracy" in scores["default"]
    folder = tmp_path / "runs" / "span_qa" / "default" / "seed1"
    assert json.loads((folder / "result.json").read_text())["details"]["null_threshold"] == 1.25
    kept = BertSpanQA.from_preset(folder / "preset")
    assert [served[0].null_threshold, kept.null_threshold] == [1.25, 1.25]
    asked = [question for _, question, _ in tiny_bert.QUESTIONS]
    for low, given in ((-1e6, [b""] * 3), (1e6, None)):
        threshold = low
        (folder / "result.json").unlink(missing_ok=True)  # nothing is known: tuned anew
        export_run(folder, tmp_path / "there")
        answers = list(served[-1].answer(asked, [tiny_bert.CONTEXT] * 3)["answer"].numpy())
        assert served[-1].null_threshold == low
        assert answers == given if given else all(answers)
