"""Pre-training and fine-tuning of a bidirectional language model."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import tensorflow as tf

from ...zoo.elmo.backbone import Elmo
from ...zoo.elmo.lm import BEGIN, END, UNKNOWN, ElmoLM
from ..config import Experiment, TaskConfig
from ..data import corpora
from ..data.identity import corpus_files
from ..data.packed import packed
from ..metrics import Perplexity
from .task import Task, check_min_count


@dataclass(frozen=True)
class LanguageModeling(TaskConfig):
    """Trains `ElmoLM` on the text of a corpus.

    Args:
        corpus: str. A name out of `recipes.data.corpora`.
        preset: str or None. Start from this preset, or folder written by `save_to_preset`, with
            its vocabulary: fine-tuning. None starts anew.
        size: str. Size of the new model, see `Elmo.from_size`.
        model: mapping. Further arguments of a new `Elmo`, such as `{"hidden_dim": 256}`.
        batch_size: int. Rows.
        unroll_steps: int. Steps after which gradients are cut.
        min_count: int. Words seen less often in training become "<UNK>" as targets.
        num_sampled: int or None. Words drawn for the sampled softmax; None: full softmax.
        dropout: float. On the input of each LSTM layer and on the top output.
    """

    corpus: str = "wikitext2"
    preset: str | None = None
    size: str = "tiny"
    model: Mapping[str, int | float | bool | list | str | None] = field(default_factory=dict)
    batch_size: int = 64
    unroll_steps: int = 20
    min_count: int = 1
    num_sampled: int | None = 4096
    dropout: float = 0.1

    def create(self, experiment: Experiment) -> Task:
        return LanguageModelingTask(experiment, self)

    def data_files(self) -> tuple[str, ...]:
        return corpus_files(corpora.get(self.corpus))


class LanguageModelingTask(Task):
    """The biLM's training; its score is the perplexity per token, averaged over both directions."""

    monitor = ("perplexity", "min")

    def __init__(self, experiment: Experiment, config: LanguageModeling):
        super().__init__(experiment)
        check_min_count(config.min_count)
        self.config = config

    def setup(self, data_root: Path) -> None:
        super().setup(data_root)
        if self.config.preset is not None:
            return  # the vocabulary comes with the model
        counts = Counter(word for s in self._sentences("train") for word in s["tokens"])
        known = {BEGIN, END, UNKNOWN}
        words = [w for w, n in counts.items() if n >= self.config.min_count and w not in known]
        # Equally frequent words stand in a fixed order, whatever the order of the text.
        self.vocabulary = [BEGIN, END, UNKNOWN, *sorted(words, key=lambda w: (-counts[w], w))]

    def check_data(self) -> None:
        next(self._sentences("train"))  # an empty split is refused
        super().check_data()

    def check_split(self, split: str) -> None:
        for _ in self._sentences(split):
            pass  # the reader refuses what is wrong

    def build_model(self) -> ElmoLM:
        config = self.config
        replicas = tf.distribute.get_strategy().num_replicas_in_sync
        if replicas > 1:
            raise ValueError(
                "`trainer.strategy` must be one_device for language modeling, whose rows keep "
                "their LSTM state from batch to batch. Received: "
                f"strategy={self.experiment.trainer.strategy!r}, replicas={replicas}."
            )
        head = {"num_sampled": config.num_sampled, "dropout": config.dropout}
        body = {
            "dropout": config.dropout,
            "stateful": True,
            "state_batch_size": config.batch_size,
        }
        if config.preset is not None:
            try:
                model = ElmoLM.from_preset(config.preset, backbone=body, **head)
            except ValueError:
                if config.num_sampled is not None:
                    head["num_sampled"] = None
                    kept = ElmoLM.from_preset(config.preset, backbone=body, **head)
                    _check_num_sampled(config.num_sampled, len(kept.vocabulary))
                raise
        else:
            _check_num_sampled(config.num_sampled, len(self.vocabulary))
            _check_filters(config.model.get("filters", []))
            backbone = Elmo.from_size(config.size, **body, **dict(config.model))
            model = ElmoLM(backbone, self.vocabulary, **head)
        self._preprocessor = model.preprocessor
        return model

    def train_dataset(self, pass_seed: int) -> tf.data.Dataset:
        return self._batches("train", seed=pass_seed)

    def evaluate(self, model: ElmoLM, split: str) -> dict[str, float]:
        next(self._sentences(split))  # an empty split is refused
        model.reset_states()
        both, forward, backward = Perplexity(), Perplexity(), Perplexity()
        for batch, outputs in self.predict(model, self._batches(split)):
            weight = (batch["targets"] >= 0).numpy()
            reverse_weight = (batch["reverse_targets"] >= 0).numpy()
            forward.update_state(outputs["forward_loss"], weight)
            backward.update_state(outputs["backward_loss"], reverse_weight)
            # Both directions have equally many targets: the mean over all is the mean of the two.
            both.update_state(outputs["forward_loss"], weight)
            both.update_state(outputs["backward_loss"], reverse_weight)
        return {
            "perplexity": float(both.result()),
            "forward_perplexity": float(forward.result()),
            "backward_perplexity": float(backward.result()),
        }

    def on_pass_begin(self, model: ElmoLM) -> None:
        model.reset_states()

    def count_tokens(self, batch: Any) -> tf.Tensor:
        return tf.reduce_sum(tf.cast(batch["targets"] >= 0, tf.int64))

    def loss_weight(self, batch: Any) -> tf.Tensor:
        return self.count_tokens(batch[0])

    def export_model(self, model: ElmoLM) -> Elmo:
        """The biLM as a representation: stateless, so that equal sentences get equal vectors."""
        return self.preset_model(model).backbone

    def preset_model(self, model: ElmoLM) -> ElmoLM:
        """The language model as it is kept: without state, sampling and dropout."""
        body = {"stateful": False, "state_batch_size": None, "dropout": 0.0}
        backbone = Elmo.from_config({**model.backbone.get_config(), **body})
        kept = ElmoLM(backbone, model.vocabulary)
        sources = {variable.path: variable for variable in model.weights}
        for variable in kept.weights:
            variable.assign(sources[variable.path])
        return kept

    def _batches(self, split: str, seed: int | None = None) -> tf.data.Dataset:
        rows = packed(
            lambda: self._sentences(split),
            self.config.batch_size,
            self.config.unroll_steps,
            seed=seed,
        )
        preprocessor = self._preprocessor
        return rows.map(lambda row: preprocessor.both(**row)).prefetch(4)

    def _sentences(self, split: str):
        for sentence in corpora.sentences(self.config.corpus, self.root, split):
            # WikiText writes its unknown word in lower case.
            yield {"tokens": [UNKNOWN if w == "<unk>" else w for w in sentence["tokens"]]}


def _check_num_sampled(num_sampled: int | None, vocabulary_size: int) -> None:
    if num_sampled is not None and not 1 <= num_sampled <= vocabulary_size:
        raise ValueError(
            "`task.num_sampled` must be from 1 to the size of the vocabulary, or none for the full "
            f"softmax. Received: num_sampled={num_sampled}, with a vocabulary of {vocabulary_size} "
            "words."
        )


def _check_filters(filters: Any) -> None:
    pairs = filters if isinstance(filters, (list, tuple)) else [None]
    for pair in pairs:
        if not isinstance(pair, (list, tuple)) or [type(part) for part in pair] != [int, int]:
            raise ValueError(
                "`task.model.filters` must be a list of pairs [width, number], such as "
                f"[[1, 8], [2, 16]]. Received: filters={filters!r}."
            )
