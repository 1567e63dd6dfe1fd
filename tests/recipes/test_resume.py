"""A training that is killed goes on with the same command, as if nothing had happened."""

import csv

import numpy as np

from polysemy.recipes.run import run_experiment


def load(path):
    with np.load(path / "toy/default/seed1/checkpoint/state.npz") as file:
        return {name: file[name] for name in file.files if name != "state"}


def train_loss(path):
    with open(path / "toy/default/seed1/metrics.csv", newline="") as file:
        return [float(row["loss"]) for row in csv.DictReader(file)]


def test_killed_in_the_middle_of_an_epoch(start, toy_task, tmp_path):
    killed = start(tmp_path / "killed", TOY_KILL_AT="25")
    run_experiment(toy_task.toy, out=tmp_path / "undisturbed", variants=["default"])
    output, _ = killed.communicate(timeout=240)
    assert killed.returncode == -9, output
    again = start(tmp_path / "killed")
    output, _ = again.communicate(timeout=240)
    assert again.returncode == 0, output
    assert "resumed at step 20, epoch 2" in output

    here, there = load(tmp_path / "killed"), load(tmp_path / "undisturbed")
    assert here.keys() == there.keys() and len(here) > 10
    for name, value in here.items():
        np.testing.assert_allclose(value, there[name], rtol=1e-5, atol=1e-6)
    losses = train_loss(tmp_path / "killed")
    assert len(losses) == 3  # no epoch twice
    np.testing.assert_allclose(losses, train_loss(tmp_path / "undisturbed"), atol=1e-6)
