"""Two replicas train a tagger and a language model as one does."""

import numpy as np
import pytest

from polysemy.recipes.run import build_trainer

# Plain descent: Adam's division by the gradient's own size would hide a wrong scale. Seven
# sentences in batches of four leave a last batch of three.
OVERRIDES = ("trainer.optimizer=sgd", "trainer.learning_rate=0.5", "trainer.gradient_clip_norm=1")


@pytest.mark.parametrize(
    ("name", "overrides"),
    [("tagging", ()), ("tagging", ("task.head=softmax",)), ("stateless", ())],
    ids=["crf", "softmax", "language_modeling"],
)
def test_two_replicas_are_one(start, tiny, tmp_path, name, overrides):
    overrides = (*OVERRIDES, *overrides)
    process = start(tmp_path / "two", name, "trainer.strategy=mirrored", *overrides, TOY_CPUS="2")
    experiment = tiny.EXPERIMENTS[name]
    trainer = build_trainer(experiment.run("default", 1, overrides), tmp_path / "one")
    before = [weight.numpy() for weight in trainer.model.trainable_weights]
    trainer.train()
    after = [weight.numpy() for weight in trainer.model.trainable_weights]
    assert max(np.abs(a - b).max() for a, b in zip(before, after, strict=True)) > 0.01
    output, _ = process.communicate(timeout=300)
    assert process.returncode == 0, output
    two = tmp_path / "two" / experiment.name / "default/seed1/checkpoint/state.npz"
    with np.load(tmp_path / "one/checkpoint/state.npz") as one, np.load(two) as other:
        names = [name for name in one.files if name != "state"]
        assert len(names) > 10
        for name in names:
            np.testing.assert_allclose(other[name], one[name], atol=2e-6)


def test_rows_that_keep_a_state_are_not_divided(start, tiny, tmp_path):
    process = start(tmp_path, "language_modeling", "trainer.strategy=mirrored", TOY_CPUS="2")
    output, _ = process.communicate(timeout=300)
    assert process.returncode == 1
    assert "`trainer.strategy` must be one_device for language modeling" in output
    assert "strategy='mirrored', replicas=2" in output
