"""What the files of a run's folder say: how far it is, on which data, what may still be done."""

import csv
import dataclasses
import gzip
import json
from types import SimpleNamespace

import numpy as np
import pytest

from polysemy.recipes import run as module
from polysemy.recipes.data.corpora import CORPORA
from polysemy.recipes.experiments import get
from polysemy.recipes.run import run_experiment
from polysemy.recipes.run_folder import RunFolder
from polysemy.recipes.state import TrainingState


@pytest.fixture
def folder(tmp_path):
    """The folder of a run of the toy that a kill has left at step 20 of 30."""
    folder = tmp_path / "toy" / "default" / "seed1"
    (folder / "checkpoint").mkdir(parents=True)
    (folder / "best.weights.h5").touch()
    save(folder, TrainingState(step=20, epoch=2))
    return folder


def save(folder, state):
    values = json.dumps({**dataclasses.asdict(state), "variables": []})
    np.savez(folder / "checkpoint" / "state.npz", state=np.array(values))


@pytest.fixture
def trainers(monkeypatch):
    """Stand-ins for the trainers that were made; the score is how many there are."""
    made = []

    class Trainer:
        task = SimpleNamespace(
            evaluation_splits=("test",), monitor=("f1", "max"), details=lambda model: {}
        )
        model = None

        def __init__(self, run, directory, strategy):
            self.best_weights = directory / "best.weights.h5"
            made.append(self)

        def train(self):
            state = TrainingState(step=30, epoch=3, best_epoch=3, seconds=90.0, finished=True)
            save(self.best_weights.parent, state)
            return state

        def load_best(self):
            pass

        def evaluate(self, split):
            return {"f1": float(len(made))}

    monkeypatch.setattr(module, "build_trainer", Trainer)
    return made


def test_scores_of_an_unfinished_training(toy_task, folder, trainers, tmp_path, capsys):
    results = tmp_path / "results.csv"
    arguments = {"out": tmp_path, "variants": ["default"], "results": results}
    for score in (1.0, 2.0):  # never done
        found = run_experiment(toy_task.toy, ("evaluate",), **arguments)
        assert found["default"]["test_f1"][0] == score
        lines = capsys.readouterr().out.splitlines()
        assert lines[1].startswith("the training is unfinished, at step 20 of 30, epoch 2: ")
        assert lines[2].endswith("| seeds 1 | unfinished: seed 1 at step 20 of 30, epoch 2")
        assert lines[3] == f"toy default: not written to {results} before all is trained"
        assert not results.exists()
    for _ in range(2):  # the second time all is done
        found = run_experiment(toy_task.toy, **arguments)
        assert found["default"]["test_f1"][0] == 3.0
    result = json.loads((folder / "result.json").read_text())
    assert result["steps"] == 30 and "unfinished" not in result
    assert "is unfinished" not in capsys.readouterr().out and len(trainers) == 3
    with open(results, newline="") as file:
        assert [(row["mean"], row["minutes"]) for row in csv.DictReader(file)] == [("3", "1.5")]


def test_a_kill_after_the_last_step(toy_task, folder, trainers, tmp_path):
    """The scores that are there may be older than the weights."""
    (folder / "result.json").write_text('{"scores": {"test_f1": 7.0}}')
    (folder / "checkpoint" / "state.npz.0123.partial").touch()
    save(folder, TrainingState(step=30, epoch=3, seconds=60.0, finished=True))
    assert RunFolder(folder).done() == {"train": True, "evaluate": False, "export": False}
    results = tmp_path / "results.csv"
    run_experiment(toy_task.toy, ("evaluate",), (), tmp_path, None, ["default"], results)
    result = json.loads((folder / "result.json").read_text())
    assert (result["scores"], result["steps"], result["minutes"]) == ({"test_f1": 1.0}, 30, 1.0)
    assert results.exists() and not list(folder.rglob("*.partial"))


FILES = {  # of each kind of corpus, and of the vocabularies that lie beside them, some
    "elmo_ner_wnut17": list(CORPORA["wnut17"].files.values()),
    "elmo_lm_wikitext2": [f"lm/wikitext-2/{split}.txt" for split in ("train", "valid")],
    "gpt2_lm_wikitext2": ["vocab/gpt2/vocab.bpe", "lm/wikitext-2/test.txt"],
    "bert_pretrain_wikitext2": ["lm/wikitext-2/valid.txt"],
    "bert_rte": ["pairs/rte/rte2_test.xml", "pairs/rte/rte3_dev.xml"],
    "bert_squad11": ["qa/squad1.1/dev-v1.1.json"],
}


def test_a_run_goes_on_with_its_own_data(tmp_path):
    old, new = tmp_path / "old", tmp_path / "new"
    for file in sorted({file for files in FILES.values() for file in files}):
        for root in (old, new):
            (root / file).parent.mkdir(parents=True, exist_ok=True)
        (old / file).write_text(f"This is {file}.\n")
        # Compressed, they are the same data.
        (new / f"{file}.gz").write_bytes(gzip.compress((old / file).read_bytes()))

    def claim(name, root):
        experiment = get(name)
        variant = next(iter(experiment.variants))
        folder = RunFolder(tmp_path / "runs" / name / variant / "seed1")
        folder.claim(experiment.run(variant, 1, [f"data.root={root}", f"data.name={root.name}"]))
        (folder.path / "best.weights.h5").touch()
        return json.loads((folder.path / "config.json").read_text())["data"]["root"]

    for name, files in FILES.items():
        for root in (old, new):
            assert claim(name, root) == str(root)
        assert claim(name, tmp_path / "nowhere") == str(new)  # left to whoever reads the data
        for file in files:
            text = (old / file).read_text()
            (old / file).write_text(f"{text}More.\n")
            message = f"`data.root` must hold the data that.*data.root='{old}', .* in {file}.$"
            with pytest.raises(ValueError, match=message):
                claim(name, old)
            (old / file).write_text(text)
        assert claim(name, old) == str(old)
