"""The registry of experiments: one file each."""

import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest

from polysemy.cli import main
from polysemy.recipes import experiments
from polysemy.recipes.config import Experiment
from polysemy.recipes.data import corpora, squad, texts

ROOT = Path(__file__).parents[2]  # of the sources: documents are not installed


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


def test_a_file_of_ones_own(tmp_path, capsys):
    """The example of the README, on the data that its words describe."""
    source = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    path = tmp_path / "my_ner.py"
    path.write_text(next(text for text in source if '"my_ner"' in text))
    for split in ("train", "dev", "test"):
        (tmp_path / f"{split}.conll").write_text("Rome\tB-place\n.\tO\n\nAda B-name\nLee I-name\n")
    run = experiments.get(str(path)).run("default", 1, [f"data.root={tmp_path}"])
    task: Any = run.task.create(run)
    task.setup(tmp_path)
    assert {"S-place", "B-name", "E-name", "O"} <= set(task.tags)
    assert set(run.task.data_files()) == {"train.conll", "dev.conll", "test.conll"}
    del corpora.CORPORA["mine"]

    path.write_text(SOURCE.format(name="my_ner"))
    assert main(["show-config", str(path), "--set", "trainer.steps=7"]) == 0
    assert json.loads(capsys.readouterr().out)["trainer"]["steps"] == 7
    for text, message in ((SOURCE.format(name="x"), "must define `exp.*'my_ner'"), ("(", "Python")):
        path.write_text(text)
        with pytest.raises(ValueError, match=message):
            experiments.get(str(path))
    with pytest.raises(FileNotFoundError, match="`experiment` must be a file.*/none.py"):
        experiments.get(str(tmp_path / "none.py"))


def test_every_corpus_of_the_package_is_in_the_table():
    text = (ROOT / "recipes" / "data" / "README.md").read_text().partition("Format |")[0]
    found = {}
    for line in text.splitlines():
        cells = [re.findall("`([^`]+)`", cell) for cell in line.split("|")[1:-1]]
        for name in cells[0] if cells and cells[0] != ["task.corpus"] else ():
            folder = cells[1][0].replace("DOMAIN", name.rpartition("_")[2])
            found[name], before = {}, []
            for split, files in zip(("train", "dev", "test"), cells[2:], strict=True):
                before = [f"{folder}/{file}" for file in files] or before
                found[name][split] = before
    known = {}
    for corpus in (*corpora.CORPORA.values(), *texts.CORPORA.values(), *squad.CORPORA.values()):
        if corpus.root is None:
            files = {s: [f] if isinstance(f, str) else list(f) for s, f in corpus.files.items()}
            known[corpus.name] = files
    assert found == known


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
