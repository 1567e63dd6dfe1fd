"""`export_run`: what `polysemy export RUN DIR` does."""

import dataclasses
import json
from pathlib import Path

import keras
import pytest

from polysemy.recipes import run as module
from polysemy.recipes.config import DataConfig, Experiment, TrainerConfig, write_config


@pytest.fixture
def toy(toy_task):
    """An experiment whose precision is not the common one."""
    trainer = TrainerConfig(steps=1, mixed_precision="mixed_bfloat16")
    return Experiment("toy", toy_task.ToyConfig(), trainer)


@pytest.fixture
def done(monkeypatch, toy):
    """What was done, in order, by stand-ins for the trainer and for `serving.export`."""
    done = []

    class Trainer:
        model = "model"

        def __init__(self, run, directory):
            self.task, self.directory = self, Path(directory)
            done.append((run, keras.config.dtype_policy().name))

        def load_best(self):
            done.append("best")

        def complete(self, model, details):
            done.append(details)

        def export_model(self, model):
            return f"served {model}"

        def preset_model(self, model):
            return None

    monkeypatch.setattr("polysemy.recipes.experiments.get", lambda name: toy)
    monkeypatch.setattr(module, "build_trainer", Trainer)
    monkeypatch.setattr("polysemy.serving.export", lambda model, to: done.append(model) or to / "1")
    return done


def test_best_weights_leave_in_the_precision_of_the_run(done, toy, tmp_path):
    write_config(toy, tmp_path / "config.json")
    assert module.export_run(tmp_path, tmp_path / "served") == str(tmp_path / "served" / "1")
    assert done == [(toy, "mixed_bfloat16"), "best", {}, "served model"]
    assert keras.config.dtype_policy().name == "float32"


def test_what_the_scores_are_of_reaches_the_model(done, toy, tmp_path):
    write_config(toy, tmp_path / "config.json")
    (tmp_path / "result.json").write_text(json.dumps({"details": {"null_threshold": 2.5}}))
    module.export_run(tmp_path, tmp_path / "served")
    assert done[2:] == [{"null_threshold": 2.5}, "served model"]


def test_a_folder_without_a_run_is_refused(done, tmp_path):
    with pytest.raises(FileNotFoundError, match="config.json"):
        module.export_run(tmp_path, tmp_path / "served")
    assert done == []


def test_a_run_whose_data_have_moved(done, toy, tmp_path, capsys):
    write_config(toy, tmp_path / "config.json")
    (tmp_path / "best.weights.h5").touch()
    module.export_run(tmp_path, tmp_path / "served", ["data.root=/corpora"])
    moved = dataclasses.replace(toy, data=DataConfig("/corpora"))
    assert done[0][0] == moved
    assert capsys.readouterr().err.startswith("the training is unfinished, at step 0 of 1, epoch 0")
    module.export_run(tmp_path, tmp_path / "served")  # without another word
    assert done[4][0] == moved
    with pytest.raises(ValueError, match=r"(?s)own configuration.*task.units: 4 there, 5 now"):
        module.export_run(tmp_path, tmp_path / "served", ["task.units=5"])


def test_a_run_of_an_experiment_of_ones_own(done, toy, tmp_path):
    write_config(dataclasses.replace(toy, name="mine"), tmp_path / "config.json")
    with pytest.raises(ValueError, match="`experiment` must be that of the run, mine"):
        module.export_run(tmp_path, tmp_path / "served", experiment="toy.py")
