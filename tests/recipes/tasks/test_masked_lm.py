"""BERT's pre-training: rows, masks, scores against numpy, ablations, use by a task."""

from typing import Any

import numpy as np
import pytest

from polysemy.recipes.config import Experiment, TrainerConfig
from polysemy.recipes.data.pretraining import encode_documents
from polysemy.recipes.run import build_trainer
from polysemy.recipes.tasks.classification import Classification
from polysemy.recipes.tasks.masked_lm import MaskedLanguageModeling
from polysemy.zoo import BertPretrainer


@pytest.fixture(scope="module")
def experiment(tiny_bert):
    sizes = {key: value for key, value in tiny_bert.BERT.items() if "dropout" not in key}
    task = MaskedLanguageModeling(
        corpus="tiny_wiki",
        model=sizes,
        vocabulary_size=60,
        sequence_length=20,
        batch_size=4,
        dropout=0.0,
    )
    trainer = TrainerConfig(steps=30, steps_per_epoch=30, learning_rate=0.015)
    return Experiment("masked_lm", task, trainer, seeds=(1,))


@pytest.fixture(scope="module")
def run(experiment, tmp_path_factory):
    """The folder of a trained model, as a preset, and its scores."""
    folder = tmp_path_factory.mktemp("run")
    trainer = build_trainer(experiment.run("default", 1), folder)
    trainer.train()
    trainer.model.save_to_preset(folder / "preset")
    return folder, trainer.evaluate("test")


ALONE = "task.next_sentence=False"


@pytest.mark.parametrize(
    "overrides",
    [(), (ALONE,), (ALONE, "task.objective=left_to_right"), ("task.whole_words=True",)],
)
def test_rows(experiment, tmp_path, overrides):
    trainer = build_trainer(experiment.run("default", 1, overrides), tmp_path)
    task: Any = trainer.task
    vocabulary = task._preprocessor.vocabulary
    mask_id = vocabulary.index("[MASK]")
    batches = list(task.train_dataset(5))
    again = [x["token_ids"].numpy() for x, _ in task.train_dataset(5)]
    assert batches
    for (x, y), ids in zip(batches, again, strict=True):
        x = {name: value.numpy() for name, value in x.items()}
        y = {name: value.numpy() for name, value in y.items()}
        np.testing.assert_array_equal(x["token_ids"], ids)  # the seed alone decides
        assert ("next_sentence" in y) == (ALONE not in overrides)
        for row in range(4):
            weights = y["mask_weights"][row] > 0
            positions = x["mask_positions"][row][weights]
            assert x["padding_mask"][row][positions].all() and len(positions)
            if "left_to_right" in str(overrides):
                whole = np.append(x["token_ids"][row][0], y["mask_ids"][row])
                np.testing.assert_array_equal(whole, x["token_ids"][row])
                assert len(positions) == x["padding_mask"][row].sum() - 1
                continue
            pieces = [vocabulary[i] for i in y["mask_ids"][row][weights]]
            assert not {"[CLS]", "[SEP]", "[PAD]"} & set(pieces)
            assert len(positions) <= max(1, round(0.15 * x["padding_mask"][row].sum()))
    if "left_to_right" not in str(overrides):
        hidden = np.concatenate([x["token_ids"].numpy().ravel() for x, _ in batches]) == mask_id
        assert 0.03 < hidden.mean() < 0.2
    other = [x["token_ids"].numpy() for x, _ in task.train_dataset(6)]
    assert any(a.shape != b.shape or (a != b).any() for a, b in zip(again, other, strict=False))


def test_scores_against_numpy(run, experiment):
    folder, scores = run
    assert scores["perplexity"] < 40  # of 60 pieces
    model = BertPretrainer.from_preset(folder / "preset")
    resolved = experiment.run("default", 1, [f"task.preset={folder / 'preset'}"])
    task: Any = resolved.task.create(resolved)
    task.setup(folder)
    task.build_model()
    nats, right, follows = [], [], []
    for x, y in task._batches("test", 0):
        outputs = model(x)
        logits = outputs["logits"].numpy().astype("float64")
        logits -= logits.max(-1, keepdims=True)
        losses = np.log(np.exp(logits).sum(-1)) - np.take_along_axis(
            logits, y["mask_ids"].numpy()[..., None], -1
        ).squeeze(-1)
        known = y["mask_weights"].numpy() > 0
        nats += losses[known].tolist()
        right += (logits.argmax(-1) == y["mask_ids"].numpy())[known].tolist()
        guess = outputs["next_sentence_logits"].numpy().argmax(-1)
        follows += (guess == y["next_sentence"].numpy()).tolist()
    assert scores["perplexity"] == pytest.approx(np.exp(np.mean(nats)), rel=1e-4)
    assert scores["accuracy"] == pytest.approx(np.mean(right))
    assert scores["next_sentence_accuracy"] == pytest.approx(np.mean(follows))


def test_a_task_starts_from_its_folder(run, tmp_path, tiny_bert):
    folder, _ = run
    task = Classification(corpus="tiny_texts", encoder=str(folder / "preset"), batch_size=4)
    experiment = Experiment("own", task, TrainerConfig(steps=1), seeds=(1,))
    trainer = build_trainer(experiment.run("default", 1), tmp_path)
    kept = BertPretrainer.from_preset(folder / "preset").backbone
    for weight, value in zip(trainer.model.backbone.weights, kept.weights, strict=True):
        np.testing.assert_array_equal(weight, value)


def test_words_become_pieces_once(run, tmp_path):
    preprocessor = BertPretrainer.from_preset(run[0] / "preset").backbone.preprocessor
    path = tmp_path / "wiki.txt"
    path.write_text(" = T =\n\n <unk> is rome . Rome @-@ bo\n")
    ((first, second),) = encode_documents(path, preprocessor)
    assert first[0] == preprocessor.vocabulary.index("[UNK]")
    text = "[UNK] is rome . rome - bo"
    expected = preprocessor.word_piece([text]).merge_dims(1, 2).to_list()[0]
    assert [*first, *second] == expected
    path.write_text(" = T =\n")
    with pytest.raises(ValueError, match="must hold a document with sentences.*wiki.txt"):
        encode_documents(path, preprocessor)


def test_bad_settings(experiment, run, tmp_path):
    preset = f"task.preset={run[0] / 'preset'}"
    for overrides, message in (
        (["task.objective=left_to_right"], "`task.next_sentence` must be False for left_to_right"),
        (["task.sequence_length=49"], "must be at most.*sequence_length=49, max_length=48"),
        (
            [preset, ALONE, "task.objective=left_to_right"],
            "must hold a .*causal=False|BertMaskedLM",
        ),
        (["task.batch_size=500"], "`documents` must fill a batch.*batch_size=500"),
    ):
        with pytest.raises(Exception, match=message):
            trainer = build_trainer(experiment.run("default", 1, overrides), tmp_path)
            next(iter(trainer.task.train_dataset(0)))
