"""The smallest experiments of each task, on corpora of a few sentences.

Run as a script it trains one of them on logical devices, as many as TOY_CPUS says:

    python tiny_experiments.py OUT NAME key=value …
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path

import tensorflow as tf

from polysemy.recipes.config import Experiment, TrainerConfig
from polysemy.recipes.data import corpora
from polysemy.recipes.data.columns import read_columns
from polysemy.recipes.data.corpora import SPLITS, Corpus
from polysemy.recipes.data.tokens import read_tokens
from polysemy.recipes.tasks.language_modeling import LanguageModeling, LanguageModelingTask
from polysemy.recipes.tasks.tagging import Tagging
from polysemy.zoo.elmo.backbone import Elmo
from polysemy.zoo.elmo.lm import ElmoLM

SENTENCES = (
    ("Ada Lee met Bo in Rome", "B-PER E-PER O S-PER O S-LOC"),
    ("Bo left", "S-PER O"),
    ("New Delhi is far from Rome .", "B-LOC E-LOC O O O S-LOC O"),
    ("the cat sat", "O O O"),
    ("Rome", "S-LOC"),
    ("Ada sat in New York with the cat", "S-PER O O B-LOC E-LOC O O O"),
    ("far from the cat Bo sat", "O O O O S-PER O"),
)
SHARES = {"train": SENTENCES, "dev": SENTENCES[:3], "test": SENTENCES[2:5]}
FILTERS = [[1, 3], [2, 4]]
ELMO = {
    "filters": FILTERS,
    "character_embedding_dim": 3,
    "num_highway_layers": 1,
    "hidden_dim": 6,
    "projection_dim": 4,
}


def register(folder: Path) -> dict[str, Corpus]:
    """Writes the corpora "tiny_ner", "tiny_pos" and "tiny_text" and makes them known."""
    folder.mkdir(parents=True, exist_ok=True)
    for split, sentences in SHARES.items():
        (folder / f"{split}.conll").write_text(
            "\n".join(
                "".join(f"{w}\t{t}\n" for w, t in zip(words.split(), tags.split(), strict=True))
                for words, tags in sentences
            )
        )
        (folder / f"{split}.txt").write_text("".join(f"{words}\n" for words, _ in sentences))

    def read(path):
        return read_columns(path, ("tokens", "tags"), separator="\t")

    def read_text(path):
        return ({**sentence, "document": 0} for sentence in read_tokens(path))

    columns = {split: f"{split}.conll" for split in SPLITS}
    texts = {split: f"{split}.txt" for split in SPLITS}
    tiny = (
        Corpus("tiny_ner", "ner", columns, read, "CC0", scheme="BIOES", root=str(folder)),
        Corpus("tiny_pos", "pos", columns, read, "CC0", root=str(folder)),
        Corpus("tiny_text", "language_modeling", texts, read_text, "CC0", root=str(folder)),
    )
    return {corpus.name: corpus for corpus in tiny}


@dataclass(frozen=True)
class StatelessLanguageModeling(LanguageModeling):
    """As the task, but rows forget: what several replicas can divide."""

    def create(self, experiment: Experiment) -> StatelessTask:
        return StatelessTask(experiment, self)


class StatelessTask(LanguageModelingTask):
    def build_model(self) -> ElmoLM:
        model = ElmoLM(Elmo(**ELMO), self.vocabulary)
        self._preprocessor = model.preprocessor
        return model


def _language_modeling(config) -> Experiment:
    return Experiment(
        name="language_modeling",
        task=config(
            corpus="tiny_text",
            model=ELMO,
            batch_size=4,
            unroll_steps=3,
            num_sampled=None,
            dropout=0.0,
        ),
        trainer=TrainerConfig(steps=6, steps_per_epoch=3, learning_rate=0.01),
        seeds=(1,),
    )


EXPERIMENTS = {
    "language_modeling": _language_modeling(LanguageModeling),
    "stateless": _language_modeling(StatelessLanguageModeling),
    "tagging": Experiment(
        name="tagging",
        task=Tagging(
            corpus="tiny_ner", batch_size=4, min_count=1, word_dim=3, hidden_dim=4, dropout=0.0
        ),
        trainer=TrainerConfig(steps=4, steps_per_epoch=2, learning_rate=0.05),
        seeds=(1,),
        variants={"default": {}, "softmax": {"task.head": "softmax"}},
    ),
}


def main(out: str, name: str, *overrides: str) -> None:
    cpus = int(os.environ.get("TOY_CPUS", "1"))
    tf.config.set_logical_device_configuration(
        tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * cpus
    )
    from polysemy.recipes.run import run_experiment

    corpora.CORPORA.update(register(Path(out) / "corpora"))
    run_experiment(EXPERIMENTS[name], ["train"], out=out, overrides=overrides)


if __name__ == "__main__":
    main(*sys.argv[1:])
