"""The registry of experiments: one file each."""

import sys

import pytest

from polysemy.recipes import experiments
from polysemy.recipes.config import Experiment


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Experiments in a folder of their own."""
    monkeypatch.setattr(experiments, "__path__", [str(tmp_path)])
    return tmp_path


SOURCE = """
from polysemy.recipes.config import Experiment, TaskConfig, TrainerConfig
experiment = Experiment({name!r}, TaskConfig(), TrainerConfig(steps=1))
"""


def test_a_new_file_is_a_new_experiment(folder):
    for name in ("test_only_ner", "test_only_pos"):
        (folder / f"{name}.py").write_text(SOURCE.format(name=name), encoding="utf-8")
    (folder / "_what_they_share.py").write_text("", encoding="utf-8")
    assert experiments.list_experiments() == ["test_only_ner", "test_only_pos"]
    assert experiments.list_experiments("*_pos") == ["test_only_pos"]
    assert experiments.get("test_only_ner").name == "test_only_ner"
    with pytest.raises(ValueError, match="did you mean `test_only_ner`.*Received"):
        experiments.get("test_only_nerr")


def test_a_file_must_hold_its_experiment(folder):
    (folder / "test_only_misnamed.py").write_text(SOURCE.format(name="other"), encoding="utf-8")
    with pytest.raises(ValueError, match="must define `experiment = Experiment"):
        experiments.get("test_only_misnamed")


def test_every_experiment_of_the_package():
    for name in experiments.list_experiments():
        experiment = experiments.get(name)
        assert isinstance(experiment, Experiment)
        for variant in experiment.variants:
            experiment.run(variant, experiment.seeds[0])


def test_sweeps():
    """GLUE's rates are in the grid; each setting warms up over a tenth of its own steps."""
    glue = "batch_size_32_learning_rate_{:g}_epochs_3"
    rates = {glue.format(rate) for rate in (5e-5, 4e-5, 3e-5, 2e-5)}
    assert rates <= set(experiments.get("bert_sweep").variants)
    for name in ("bert_sweep", "bert_sweep_compact"):
        sweep = experiments.get(name)
        assert sweep.choose_best
        assert (sweep.trainer.warmup_fraction, sweep.trainer.warmup_steps) == (0.1, 0)
        assert f"{len(sweep.variants)} runs a seed" in " ".join(
            (sys.modules[f"polysemy.recipes.experiments.{name}"].__doc__ or "").split()
        )
