"""Two replicas train a tagger and a language model as one does."""

from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf

from polysemy.recipes.run import build_trainer

# Plain descent: Adam's division by the gradient's own size would hide a wrong scale. Seven
# sentences in batches of four leave a last batch of three.
OVERRIDES = ("trainer.optimizer=sgd", "trainer.learning_rate=0.5", "trainer.gradient_clip_norm=1")


@pytest.mark.parametrize("name", ["tagging", "stateless"])
def test_two_replicas_are_one(start, tiny, tmp_path, name):
    process = start(tmp_path / "two", name, "trainer.strategy=mirrored", *OVERRIDES, TOY_CPUS="2")
    experiment = tiny.EXPERIMENTS[name]
    for variant in experiment.variants:
        run = experiment.run(variant, 1, OVERRIDES)
        trainer = build_trainer(run, tmp_path / "one" / variant)
        before = [weight.numpy() for weight in trainer.model.trainable_weights]
        trainer.train()
        after = [weight.numpy() for weight in trainer.model.trainable_weights]
        assert max(np.abs(a - b).max() for a, b in zip(before, after, strict=True)) > 0.01
    output, _ = process.communicate(timeout=400)
    assert process.returncode == 0, output
    for variant in experiment.variants:
        two = tmp_path / "two" / experiment.name / variant / "seed1"
        with (
            np.load(tmp_path / "one" / variant / "checkpoint/state.npz") as one,
            np.load(two / "checkpoint/state.npz") as other,
        ):
            names = [name for name in one.files if name != "state"]
            assert len(names) > 10
            for name in names:
                np.testing.assert_allclose(other[name], one[name], atol=2e-6, err_msg=variant)


def test_rows_that_keep_a_state_are_not_divided(tiny, tmp_path, monkeypatch):
    several = SimpleNamespace(num_replicas_in_sync=2)
    monkeypatch.setattr(tf.distribute, "get_strategy", lambda: several)
    run = tiny.EXPERIMENTS["language_modeling"].run("default", 1, ["trainer.strategy=mirrored"])
    message = "must be one_device for language modeling.*strategy='mirrored', replicas=2"
    with pytest.raises(ValueError, match=message):
        run.task.create(run).build_model()
