"""Settings of a whole experiment, and how the data of another corpus are called."""

import dataclasses

import pytest

from polysemy.recipes import run as module
from polysemy.recipes.experiments import get
from polysemy.recipes.run import run_experiment
from polysemy.recipes.run_settings import override, resolve_run


def test_another_corpus_has_its_own_name():
    experiment = get("bert_trec")
    for settings, name, paper in (
        (["task.corpus=trec"], "TREC-6", True),  # as it is
        (["task.corpus=sst2"], "sst2", False),
        (["task.corpus=sst2", "data.name=reviews"], "reviews", False),
        (["task.corpus=sst2", "paper=9"], "sst2", True),
        (["data.name=mine"], "mine", True),
    ):
        for found in (override(experiment, settings), resolve_run(experiment, "own", 1, settings)):
            assert (found.data.name, bool(found.paper)) == (name, paper)
    variants = {"a": {}, "b": {"task.corpus": "sst2"}}
    experiment = dataclasses.replace(experiment, variants=variants)
    assert [resolve_run(experiment, v, 1, []).data.name for v in "ab"] == ["TREC-6", "sst2"]


def test_settings_of_the_whole_experiment(toy_task, tmp_path, monkeypatch, capsys):
    ran = []

    def run(one, steps, folder, strategy):
        ran.append((one.variant, one.seed))
        units = one.task.units
        return {"scores": {"dev_accuracy": units, "test_accuracy": 0.0}, "headline": "dev_accuracy"}

    monkeypatch.setattr(module, "_run", run)
    arguments = {"out": tmp_path, "variants": ["wide", "wide", "default"]}
    settings = ["seeds=3,4,3", "choose_best=yes"]
    run_experiment(toy_task.toy, ("evaluate",), settings, **arguments)
    assert ran == [("wide", 3), ("wide", 4), ("default", 3), ("default", 4)]
    assert "best of 2 variants by dev_accuracy: wide" in capsys.readouterr().out
    ran.clear()
    run_experiment(toy_task.toy, ("evaluate",), settings, seeds=(1, 1), **arguments)
    assert ran == [("wide", 1), ("default", 1)]


def test_what_cannot_be_set(toy_task):
    for setting, message in (
        ("name=other", "its `name`, which names.*Received: override='name=other'"),
        ("variants.wide=1", "its `variants`, of which `--variant` chooses"),
        ("seeds=", "`seeds` must be at least one"),
    ):
        with pytest.raises(ValueError, match=message):
            run_experiment(toy_task.toy, ("train",), [setting])
