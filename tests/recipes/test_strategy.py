"""Strategies by name; two replicas give the result of one."""

import numpy as np
import pytest
import tensorflow as tf

from polysemy.recipes.run import build_trainer
from polysemy.recipes.strategy import build_strategy

# Masked rows, a last batch of two, clipping: each has another share of the batch on each replica.
OVERRIDES = (
    "task.stateful=no",
    "task.dropout=0",
    "trainer.optimizer=sgd",
    "trainer.learning_rate=0.5",
    "trainer.gradient_clip_norm=0.1",
)


# Descent shows a wrong scale, which Adam's division by the gradient's own size would hide.
@pytest.mark.parametrize("more", [(), ("trainer.optimizer=adamw", "trainer.learning_rate=0.01")])
def test_two_replicas_are_one(start, toy_task, tmp_path, more):
    overrides = (*OVERRIDES, *more)
    process = start(tmp_path / "two", "trainer.strategy=mirrored", *overrides, TOY_CPUS="2")
    trainer = build_trainer(toy_task.toy.run("default", 1, overrides), tmp_path / "one")
    trainer.train()
    output, _ = process.communicate(timeout=240)
    assert process.returncode == 0, output
    with (
        np.load(tmp_path / "one/checkpoint/state.npz") as one,
        np.load(tmp_path / "two/toy/default/seed1/checkpoint/state.npz") as two,
    ):
        names = [name for name in one.files if name != "state"]
        for name in names:
            np.testing.assert_allclose(two[name], one[name], atol=1e-5 if more else 1e-6)
    assert len(names) == (14 if more else 6)
    metrics = [
        (tmp_path / folder / "metrics.csv").read_text().splitlines()
        for folder in ("one", "two/toy/default/seed1")
    ]
    column = metrics[0][0].split(",").index("loss")
    for row_one, row_two in zip(metrics[0][1:], metrics[1][1:], strict=True):
        losses = [float(row.split(",")[column]) for row in (row_one, row_two)]
        assert losses[0] == pytest.approx(losses[1], abs=1e-5)


def test_accumulation_on_replicas_is_refused(toy_task, tmp_path, monkeypatch):
    run = toy_task.toy.run("default", 1, ["trainer.gradient_accumulation=2"])
    trainer = build_trainer(run, tmp_path)
    monkeypatch.setattr(trainer, "_num_replicas", lambda: 2)
    with pytest.raises(ValueError, match="must be 1 on several replicas.*replicas=2"):
        trainer.train()


def test_names(monkeypatch):
    monkeypatch.delenv("TF_CONFIG", raising=False)
    monkeypatch.delenv("TPU_NAME", raising=False)
    assert build_strategy("one_device") is None
    assert build_strategy("auto") is None or len(tf.config.list_logical_devices("GPU")) > 1
    with pytest.raises(ValueError, match="did you mean `mirrored`"):
        build_strategy("miror")
    with pytest.raises(ValueError, match="must have a cluster in the environment"):
        build_strategy("multi_worker")
    with pytest.raises(ValueError, match="must have a TPU"):
        build_strategy("tpu")
    for text in ("{bad", "[]", '{"cluster": null}', '{"cluster": ["a:1"]}'):
        monkeypatch.setenv("TF_CONFIG", text)
        with pytest.raises(ValueError, match="TF_CONFIG must hold a JSON object.*TF_CONFIG='"):
            build_strategy("auto")
    monkeypatch.setenv("TF_CONFIG", '{"cluster": {"worker": "a:1"}}')
    with pytest.raises(ValueError, match="TF_CONFIG must list the addresses.*TF_CONFIG='"):
        build_strategy("auto")
