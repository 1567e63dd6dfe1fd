"""Each split that will be scored is read before a training."""

import dataclasses
from typing import Any

import numpy as np
import pytest

from polysemy.recipes.config import Experiment, TrainerConfig
from polysemy.recipes.data import corpora, squad, texts
from polysemy.recipes.tasks.causal_lm import CausalLanguageModeling
from polysemy.recipes.tasks.classification import Classification
from polysemy.recipes.tasks.language_modeling import LanguageModeling
from polysemy.recipes.tasks.masked_lm import MaskedLanguageModeling
from polysemy.recipes.tasks.span_qa import SpanQA


def make_task(config) -> Any:
    return config.create(Experiment("x", config, TrainerConfig(steps=1), seeds=(1,)))


def move(monkeypatch, registry, name, split, path):
    """The corpus has another file for a split."""
    corpus = registry[name]
    paths = (str(path),) if registry is texts.CORPORA else str(path)
    files = {**corpus.files, split: paths}
    monkeypatch.setitem(registry, name, dataclasses.replace(corpus, files=files))


@pytest.mark.parametrize(
    ("config", "registry", "content", "what"),
    [
        (Classification("tiny_texts"), texts.CORPORA, "", "example"),
        (SpanQA("tiny_v1"), squad.CORPORA, '{"data": []}', "question"),
        (LanguageModeling("tiny_text"), corpora.CORPORA, "", "sentence"),
        (CausalLanguageModeling("tiny_wiki"), corpora.CORPORA, "\n", "sentence"),
    ],
)
def test_empty_and_missing_splits(
    config, registry, content, what, tiny_bert, tmp_path, monkeypatch
):
    task, name = make_task(config), config.corpus
    monkeypatch.setattr(task, "_text", lambda split: (np.zeros(9999), 1), raising=False)
    if registry is texts.CORPORA:
        corpus = dataclasses.replace(registry[name], read=texts.read_sst2)
        monkeypatch.setitem(registry, name, corpus)
        (tmp_path / "filled").write_text("good\t1\n")
        for split in ("dev", "test"):
            move(monkeypatch, registry, name, split, tmp_path / "filled")
    task.check_data()
    move(monkeypatch, registry, name, "test", tmp_path / "none")
    task.check_data()  # a training does not read it
    (tmp_path / "none").write_text(content)
    message = f"at least one {what} of the test split of {name}. Received: none, in .*none"
    with pytest.raises(ValueError, match=message):
        task.check_data()
    move(monkeypatch, registry, name, "dev", tmp_path / "gone")
    with pytest.raises(FileNotFoundError, match="gone"):
        task.check_data()


def test_documents_that_fill_no_batch(tiny_bert, tmp_path, monkeypatch):
    config = MaskedLanguageModeling("tiny_wiki", sequence_length=20, batch_size=32)
    task = make_task(config)
    task._preprocessor = tiny_bert.make_bert().preprocessor
    task.check_data()
    (tmp_path / "own.txt").write_text("ada is in rome .\nbo is good .\n" * 40)
    move(monkeypatch, corpora.CORPORA, "tiny_wiki", "dev", tmp_path / "own.txt")
    task._encoded.clear()
    with pytest.raises(ValueError, match="own.txt, the dev split, .*at least two .*Received: 1"):
        task.check_data()
    (tmp_path / "own.txt").write_text(" = A =\n\nada .\n = B =\n\nbo .\n")
    task._encoded.clear()
    with pytest.raises(ValueError, match="own.txt, the dev split, .*Received: 2 rows, batch_size="):
        task.evaluate(None, "dev")
