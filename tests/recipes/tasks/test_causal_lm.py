"""Causal language modeling: the text as ids, perplexity per word against numpy, samples."""

from typing import Any

import numpy as np
import pytest

from polysemy.recipes.config import Experiment, TrainerConfig
from polysemy.recipes.data import corpora
from polysemy.recipes.data.byte_pair_vocabulary import learn_byte_pairs
from polysemy.recipes.data.wikitext import plain_lines
from polysemy.recipes.run import build_trainer
from polysemy.recipes.tasks.causal_lm import CausalLanguageModeling
from polysemy.zoo import GPT2CausalLM
from polysemy.zoo.text.byte_pair_files import vocabulary_of_merges, write_byte_pairs

MERGES = ["t h", "th e", "Ġ the", "i s", "Ġ is", "m e"]


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """A `data.root` with a BPE's files."""
    folder = tmp_path_factory.mktemp("bpe")
    (folder / "vocab").mkdir()
    names = ("encoder.json", "vocab.bpe")
    write_byte_pairs(folder / "vocab", vocabulary_of_merges(MERGES), MERGES, names)
    return folder


@pytest.fixture(scope="module")
def experiment(tiny_bert):
    task = CausalLanguageModeling(
        corpus="tiny_wiki",
        model={"num_layers": 1, "num_heads": 2, "hidden_dim": 16, "max_length": 40},
        vocabulary="vocab",
        num_merges=5,
        length=16,
        batch_size=4,
        stride=6,
        dropout=0.0,
        prompts=("", "the film"),
        sample_length=5,
    )
    trainer = TrainerConfig(steps=40, steps_per_epoch=40, learning_rate=0.02)
    return Experiment("causal_lm", task, trainer, seeds=(1,))


@pytest.fixture(scope="module")
def run(experiment, root, tmp_path_factory):
    """The folder of a trained model, as a preset, and its scores."""
    folder = tmp_path_factory.mktemp("run")
    trainer = build_trainer(experiment.run("default", 1, [f"data.root={root}"]), folder)
    trainer.train()
    trainer.model.save_to_preset(folder / "preset")
    return folder, trainer.evaluate("test")


def test_plain_lines():
    lines = [("= T =", 0), ("a red @-@ tipped 1 @,@ 000", 0), ("= = S = =", 0), ("b", 1), ("c", 1)]
    sentences = [{"tokens": text.split(), "document": number} for text, number in lines]
    assert list(plain_lines(sentences)) == [
        {"text": "= T =", "words": 4, "is_first": True},
        {"text": "a red-tipped 1,000", "words": 8, "is_first": False},
        {"text": "= = S = =", "words": 6, "is_first": False},
        {"text": "b", "words": 2, "is_first": True},
        {"text": "c", "words": 2, "is_first": False},
    ]


def test_the_text_comes_back(experiment, root, tmp_path, tiny_bert):
    trainer = build_trainer(experiment.run("default", 1, [f"data.root={root}"]), tmp_path)
    task: Any = trainer.task
    assert len(task.vocabulary) == 256 + 5 + 1  # the first five merges and the end of text
    ids, words = task._text("train")
    text = task._preprocessor.decode([ids]).numpy()[0].decode()
    lines = [
        line.strip()
        for line in (tiny_bert.DOCUMENTS * tiny_bert.COPIES).split("\n")
        if line.strip()
    ]
    expected = "".join(
        ("<|endoftext|>" if line in ("= Rome =", "= Film =") else "") + f"{line}\n"
        for line in lines
    )
    assert text == expected
    assert words == sum(len(line.split()) + 1 for line in lines)
    for inputs, targets in task.train_dataset(2):
        assert inputs["token_ids"].shape == (4, 16)
        np.testing.assert_array_equal(inputs["token_ids"][:, 1:], targets[:, :-1])


def test_a_learned_vocabulary(experiment, tiny_bert, tmp_path):
    settings = ["task.vocabulary=none", "task.num_merges=9", f"data.root={tmp_path}"]
    trainer = build_trainer(experiment.run("default", 1, settings), tmp_path)
    task: Any = trainer.task
    assert len(task.vocabulary) == 256 + 9 + 1
    lines = [line.strip() + "\n" for line in tiny_bert.DOCUMENTS.split("\n") if line.strip()]
    assert task.merges == learn_byte_pairs(lines, 9)
    ids, _ = task._text("train")
    assert len(ids) < len("".join(lines).encode()) * tiny_bert.COPIES
    assert not [file for file in task.config.data_files() if file.endswith("bpe")]


def test_any_corpus_of_text(tmp_path):
    task = CausalLanguageModeling(corpus="sample_text", vocabulary=None, num_merges=300)
    made: Any = task.create(Experiment("x", task, TrainerConfig(steps=1), seeds=(1,)))
    made.setup(tmp_path)
    made.build_model()
    ids, words = made._text("dev")
    sentences = list(corpora.sentences("sample_text", None, "dev"))
    assert words == sum(len(sentence["tokens"]) + 1 for sentence in sentences)
    text = made._preprocessor.decode([ids]).numpy()[0].decode()
    documents = len({sentence["document"] for sentence in sentences})
    assert text.startswith("<|endoftext|>") and text.count("<|endoftext|>") == documents
    plain = text.replace("<|endoftext|>", "").splitlines()
    assert plain == [" ".join(sentence["tokens"]) for sentence in sentences]


def test_perplexity_per_word(run, experiment, root):
    folder, scores = run
    model = GPT2CausalLM.from_preset(folder / "preset")
    resolved = experiment.run("default", 1, [f"data.root={root}"])
    task: Any = resolved.task.create(resolved)
    task.setup(root)
    task.build_model()
    ids, words = task._text("test")
    # Rows that begin six tokens apart; each token counts in the first one that holds it.
    starts = range(0, len(ids), 6)
    rows = np.stack([np.append(ids, np.zeros(16, "int32"))[i : i + 16] for i in starts])
    logits = model({"token_ids": rows, "padding_mask": rows >= 0})["logits"]
    logits = logits.numpy().astype("float64")
    logits -= np.log(np.exp(logits).sum(-1, keepdims=True))
    total, done = 0.0, 1
    for start, row in zip(starts, logits, strict=True):
        while done < min(start + 17, len(ids)):
            total -= row[done - 1 - start, ids[done]]
            done += 1
    assert done == len(ids)
    assert scores["perplexity"] == pytest.approx(np.exp(total / words), rel=1e-4)
    token_perplexity = np.exp(total / (len(ids) - 1))
    assert scores["token_perplexity"] == pytest.approx(token_perplexity, rel=1e-4)
    assert token_perplexity < 20  # of 262 tokens


def test_samples_continue_the_prompts(run):
    model = GPT2CausalLM.from_preset(run[0] / "preset")
    task = CausalLanguageModeling(prompts=("the",), sample_length=4)
    made: Any = task.create(Experiment("x", task, TrainerConfig(steps=1), seeds=(1,)))
    made._preprocessor = model.preprocessor
    assert list(made.details(model)["samples"]) == ["the"]


def test_bad_settings(experiment, root, tmp_path):
    for override, message in (
        ("task.num_merges=7", "`task.num_merges` must be from 0 to 6.*num_merges=7"),
        ("task.vocabulary=none task.num_merges=none", "must be a number of 0 .* num_merges=None"),
        ("task.length=41", "`task.length` must be at most.*length=41, max_length=40"),
        ("task.vocabulary=words", "must hold the file words/vocab.bpe"),
    ):
        resolved = experiment.run("default", 1, [f"data.root={root}", *override.split()])
        with pytest.raises((ValueError, FileNotFoundError), match=message):
            build_trainer(resolved, tmp_path)
