"""`export_run`: what `polysemy export RUN DIR` does."""

import json
from pathlib import Path

import keras
import pytest

from polysemy.recipes import run as module
from polysemy.recipes.config import Experiment, TaskConfig, TrainerConfig, write_config

TOY = Experiment("toy", TaskConfig(), TrainerConfig(steps=1, mixed_precision="mixed_bfloat16"))


@pytest.fixture
def done(monkeypatch):
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

    monkeypatch.setattr("polysemy.recipes.experiments.get", lambda name: TOY)
    monkeypatch.setattr(module, "build_trainer", Trainer)
    monkeypatch.setattr("polysemy.serving.export", lambda model, to: done.append(model) or to / "1")
    return done


def test_best_weights_leave_in_the_precision_of_the_run(done, tmp_path):
    write_config(TOY, tmp_path / "config.json")
    assert module.export_run(tmp_path, tmp_path / "served") == str(tmp_path / "served" / "1")
    assert done == [(TOY, "mixed_bfloat16"), "best", {}, "served model"]
    assert keras.config.dtype_policy().name == "float32"


def test_what_the_scores_are_of_reaches_the_model(done, tmp_path):
    write_config(TOY, tmp_path / "config.json")
    (tmp_path / "result.json").write_text(json.dumps({"details": {"null_threshold": 2.5}}))
    module.export_run(tmp_path, tmp_path / "served")
    assert done[2:] == [{"null_threshold": 2.5}, "served model"]


def test_a_folder_without_a_run_is_refused(done, tmp_path):
    with pytest.raises(FileNotFoundError, match="config.json"):
        module.export_run(tmp_path, tmp_path / "served")
    assert done == []
