"""Runs that start from other runs' presets, and what is written when a run in between fails."""

import csv
import dataclasses

import pytest

from polysemy.recipes import run as module
from polysemy.recipes.experiments import get
from polysemy.recipes.run import run_experiment
from polysemy.recipes.run_presets import preset_of


@pytest.fixture
def started(toy_task, monkeypatch):
    """The presets that tasks started from; the step `export` makes the folder of a preset."""
    started = []

    @dataclasses.dataclass(frozen=True)
    class Config(toy_task.ToyConfig):
        encoder: str = "none"

        def create(self, experiment):
            started.append(self.encoder)
            return super().create(experiment)

    def export(trainer, to):
        (trainer.directory / "preset").mkdir()
        to.mkdir()
        return str(to)

    monkeypatch.setattr(module, "_export", export)
    trainer = dataclasses.replace(toy_task.toy.trainer, steps=2, steps_per_epoch=1)
    experiment = dataclasses.replace(
        toy_task.toy,
        task=Config(),
        trainer=trainer,
        variants={
            "default": {},
            "own": {"task.encoder": preset_of("bert_pretrain_wikitext2", "rate_40")},
            "next": {"task.encoder": preset_of("toy")},
        },
    )
    return experiment, started


def rows(path):
    with open(path, newline="") as file:
        return {row["variant"] for row in csv.DictReader(file)}


def test_each_variant_is_reported_when_it_is_done(toy_task, tmp_path, monkeypatch, capsys):
    build = toy_task.Toy.build_model

    def fail(task):
        if task.config.units == 16:
            raise RuntimeError("out of luck")
        return build(task)

    monkeypatch.setattr(toy_task.Toy, "build_model", fail)
    results = tmp_path / "results.csv"
    with pytest.raises(RuntimeError, match="out of luck"):
        run_experiment(toy_task.toy, overrides=["trainer.steps=2"], out=tmp_path, results=results)
    assert "toy default: paper 99.0 | ours test_accuracy" in capsys.readouterr().out
    assert rows(results) == {"default"}

    # A variant of which only some seeds have been evaluated has no scores yet.
    arguments = {"out": tmp_path, "variants": ["default"], "overrides": ["trainer.steps=2"]}
    assert run_experiment(toy_task.toy, ("train",), seeds=(1, 2), **arguments) == {}


def test_without_the_preset_the_others_run(started, tmp_path, capsys):
    experiment, presets = started
    results = tmp_path / "results.csv"
    steps, overrides = ("train", "evaluate", "export"), ["data.root=/my corpora"]
    found = run_experiment(experiment, steps, overrides, tmp_path, results=results)
    assert set(found) == rows(results) == {"default", "next"}
    folder = tmp_path / "bert_pretrain_wikitext2" / "rate_40" / "seed1" / "preset"
    command = (
        "`polysemy run bert_pretrain_wikitext2 train export --variant rate_40 "
        f"--set data.root='/my corpora' --out {tmp_path}` makes it"
    )
    first = capsys.readouterr().out.splitlines()[0]
    assert first == f"toy own: skipped, without {folder}; {command}"
    # "default" made what "next" starts from, and in this folder of runs.
    assert presets == ["none", str(tmp_path / "toy" / "default" / "seed1" / "preset")]

    folder.mkdir(parents=True)
    assert set(run_experiment(experiment, steps, overrides, tmp_path)) == {"default", "own", "next"}
    assert presets[2:] == [str(folder)]


def test_a_variant_that_was_asked_for_needs_its_preset(started, tmp_path, monkeypatch):
    experiment, presets = started
    monkeypatch.chdir(tmp_path)
    with pytest.raises(
        FileNotFoundError,
        match="variant='own', without runs/bert_pretrain_wikitext2/rate_40/seed1/preset; `polysemy "
        "run bert_pretrain_wikitext2 train export --variant rate_40 --set data.root=DATA` makes it",
    ):
        run_experiment(experiment, variants=["default", "own"])
    with pytest.raises(FileNotFoundError, match="variant='next', without runs/toy/default"):
        run_experiment(experiment, variants=["default", "next"])  # "default" is not exported
    assert not presets and not any(tmp_path.iterdir())
    run_experiment(experiment, ("train", "export"), variants=["default", "next"])
    assert len(presets) == 2


def test_a_preset_that_no_run_makes(started, tmp_path):
    experiment, _ = started
    arguments = {"out": tmp_path, "variants": ["own"]}
    with pytest.raises(FileNotFoundError, match=f"variant='own', without {tmp_path}/foo$"):
        run_experiment(experiment, overrides=["task.encoder={runs}/foo"], **arguments)
    with pytest.raises(FileNotFoundError, match="--variant v .*--seed 2.* makes it$"):
        run_experiment(experiment, overrides=["task.encoder={runs}/e/v/seed2/preset"], **arguments)


def test_nothing_is_left_to_run(started, tmp_path):
    experiment, _ = started
    own = dataclasses.replace(experiment, variants={"own": experiment.variants["own"]})
    with pytest.raises(FileNotFoundError, match="must have the preset.*variant='own'"):
        run_experiment(own, out=tmp_path)


def test_runs_can_be_moved(started, tmp_path, monkeypatch):
    """A run goes on where its folder is called otherwise; older ones have the path itself."""
    experiment, presets = started
    (tmp_path / "runs" / "bert_pretrain_wikitext2/rate_40/seed1/preset").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    run_experiment(experiment, ("train",), variants=["own"])
    run_experiment(experiment, ("train", "evaluate"), out=tmp_path / "runs", variants=["own"])
    config = tmp_path / "runs" / "toy" / "own" / "seed1" / "config.json"
    text = config.read_text()
    assert "{runs}/bert_pretrain" in text
    config.write_text(text.replace("{runs}", "runs"))
    run_experiment(experiment, ("train",), variants=["own"])
    assert set(presets) == {str(tmp_path / "runs/bert_pretrain_wikitext2/rate_40/seed1/preset")}


def test_no_experiment_has_a_folder_of_runs_in_it():
    for name, variant, field in (
        ("bert_trec", "own", "encoder"),
        ("bert_pretrain_wikitext2", "phase_2", "preset"),
        ("bert_ablations_sst2", "untrained", "encoder"),
    ):
        assert getattr(get(name).run(variant, 1).task, field).startswith("{runs}/")
