"""BERT's pre-training: masked tokens and next sentences, and the left-to-right ablation."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from ...zoo.bert.backbone import Bert
from ...zoo.bert.masked_lm import BertMaskedLM
from ...zoo.bert.preprocessor import BertPreprocessor
from ...zoo.bert.pretrainer import BertPretrainer
from ..config import Experiment, TaskConfig
from ..data import corpora
from ..data.files import read_lines, resolve
from ..data.identity import corpus_files
from ..data.pretraining import check_rows, encode_documents, pretraining_batches
from ..data.wikitext import read_documents
from ..data.word_piece_vocabulary import learn_word_pieces
from .task import Task


@dataclass(frozen=True)
class MaskedLanguageModeling(TaskConfig):
    """Trains `BertPretrainer`, or without next sentences `BertMaskedLM`.

    Training in two phases, most of it in short rows, is two runs: the second one has the first
    one's folder as `preset` and a larger `sequence_length`.

    Args:
        corpus: str. A name out of `recipes.data.corpora`, in WikiText's form.
        preset: str or None. Start from this preset, or folder written by `save_to_preset`, with
            its heads and vocabulary. None starts anew.
        size: str. Size of the new model, see `Bert.from_size`.
        model: mapping. Further arguments of a new `Bert`, such as `{"num_layers": 2}`.
        vocabulary: str or None. `vocab.txt` below `data.root`; None learns one from the training
            text.
        vocabulary_size: int. The most pieces of the vocabulary that is learned.
        objective: str. "masked", or "left_to_right": a causal model predicts every next token.
        next_sentence: bool. Rows are pairs of segments, half of them strangers.
        rate, mask_rate, random_rate: float. See `mask_tokens`.
        whole_words: bool. Words are masked with all of their pieces.
        short_sequence_probability: float. See `sentence_pairs`.
        sequence_length: int. Pieces of a row.
        batch_size: int. Rows.
        dropout: float. Of embeddings, residual additions and attention.
    """

    corpus: str = "wikitext2"
    preset: str | None = None
    size: str = "mini"
    model: Mapping[str, int | float | bool | str | None] = field(default_factory=dict)
    vocabulary: str | None = None
    vocabulary_size: int = 8_000
    objective: str = "masked"
    next_sentence: bool = True
    rate: float = 0.15
    mask_rate: float = 0.8
    random_rate: float = 0.1
    whole_words: bool = False
    short_sequence_probability: float = 0.1
    sequence_length: int = 128
    batch_size: int = 32
    dropout: float = 0.1

    def create(self, experiment: Experiment) -> Task:
        return MaskedLanguageModelingTask(experiment, self)

    def data_files(self) -> tuple[str, ...]:
        own = [self.vocabulary] if self.vocabulary and self.preset is None else []
        return (*corpus_files(corpora.get(self.corpus)), *own)


class MaskedLanguageModelingTask(Task):
    """Scores: `perplexity` and `accuracy` of the predicted tokens, and `next_sentence_accuracy`.

    Dev and test are masked alike in each evaluation. Perplexities of masked and of left-to-right
    models are of different guesses: they cannot be compared.
    """

    monitor = ("perplexity", "min")

    def __init__(self, experiment: Experiment, config: MaskedLanguageModeling):
        super().__init__(experiment)
        if config.objective == "left_to_right" and config.next_sentence:
            raise ValueError(
                "`task.next_sentence` must be False for left_to_right, whose [CLS] sees nothing "
                "behind it. Received: objective='left_to_right', next_sentence=True"
            )
        self.config = config
        self._encoded: dict[str, Any] = {}

    def setup(self, data_root: Path) -> None:
        super().setup(data_root)
        config = self.config
        if config.preset is not None:
            return  # the preset has its own
        if config.vocabulary is not None:
            lines = read_lines(resolve(data_root, config.vocabulary))
            self.vocabulary = [line for _, line in lines]
            return
        documents = read_documents(self._path("train"))
        self.vocabulary = learn_word_pieces(
            (
                word
                for document in documents
                for words in document["sentences"]
                for word in words
                if word != "<unk>"
            ),
            config.vocabulary_size,
        )

    def check_data(self) -> None:
        self.check_split("train")
        super().check_data()

    def check_split(self, split: str) -> None:
        path = self._path(split)
        try:
            check_rows(
                self._documents(split),
                self.config.sequence_length,
                self._batch_size(split),
                0,
                self.config.next_sentence,
                self.config.short_sequence_probability,
            )
        except ValueError as error:
            raise ValueError(
                f"{path}, the {split} split, whose documents begin at lines like `= Title =`: "
                f"{error}"
            ) from error

    def build_model(self) -> BertPretrainer | BertMaskedLM:
        config = self.config
        cls = BertPretrainer if config.next_sentence else BertMaskedLM
        drop = {"dropout": config.dropout, "attention_dropout": config.dropout}
        if config.preset is not None:
            model = cls.from_preset(config.preset, backbone=drop)
        else:
            # Without next sentences nothing would train the pooler of [CLS].
            pooling = "cls" if config.next_sentence else "mean"
            arguments = {"pooling": pooling, **drop, **dict(config.model)}
            causal = config.objective == "left_to_right"
            model = cls(Bert.from_size(config.size, self.vocabulary, causal=causal, **arguments))
        backbone = model.backbone
        if backbone.causal != (config.objective == "left_to_right"):
            raise ValueError(
                "`task.preset` must hold a causal model if and only if `task.objective` is "
                f"left_to_right. Received: objective={config.objective!r}, "
                f"causal={backbone.causal}"
            )
        if config.sequence_length > backbone.max_length:
            raise ValueError(
                "`task.sequence_length` must be at most the model's `max_length`. Received: "
                f"sequence_length={config.sequence_length}, max_length={backbone.max_length}"
            )
        self._preprocessor: BertPreprocessor = backbone.preprocessor
        return model

    def train_dataset(self, pass_seed: int) -> tf.data.Dataset:
        return self._batches("train", pass_seed)

    def evaluate(self, model: keras.Model, split: str) -> dict[str, float]:
        self.check_split(split)
        totals: dict[str, float] = {}
        # The same rows and masks each time, whatever the run's seed.
        rows = self._batches(split, 0)
        for _, sums in self.predict(model, rows.map(lambda x, y: {"x": x, "y": y}), _sums):
            for name, value in sums.items():
                totals[name] = totals.get(name, 0.0) + float(value)
        scores = {
            "perplexity": math.exp(totals["nats"] / totals["tokens"]),
            "accuracy": totals["right"] / totals["tokens"],
        }
        if self.config.next_sentence:
            scores["next_sentence_accuracy"] = totals["pairs_right"] / totals["pairs"]
        return scores

    def loss_weight(self, batch: Any) -> tf.Tensor:
        """The predicted tokens. Where there are next sentences as well, their part of the loss is a
        mean over rows, and replicas with unequal numbers of predictions weigh it a little wrong.
        """
        return tf.cast(tf.reduce_sum(batch[1]["mask_weights"]), tf.int64)

    def _batch_size(self, split: str) -> int:
        size = self.config.batch_size
        return size if split == "train" else min(size, 32)  # what is left over is not scored

    def _batches(self, split: str, seed: int) -> tf.data.Dataset:
        config = self.config
        rows = pretraining_batches(
            self._documents(split),
            self._preprocessor,
            config.sequence_length,
            self._batch_size(split),
            seed,
            objective=config.objective,
            next_sentence=config.next_sentence,
            rate=config.rate,
            mask_rate=config.mask_rate,
            random_rate=config.random_rate,
            whole_words=config.whole_words,
            short_sequence_probability=config.short_sequence_probability,
        )
        targets = ("mask_ids", "mask_weights", "next_sentence")
        return rows.map(
            lambda row: (
                {name: value for name, value in row.items() if name not in targets},
                {name: row[name] for name in targets if name in row},
            )
        )

    def _documents(self, split: str):
        if split not in self._encoded:
            self._encoded[split] = encode_documents(self._path(split), self._preprocessor)
        return self._encoded[split]

    def _path(self, split: str) -> Path:
        return corpora.split_path(self.config.corpus, self.root, split)


def _sums(model: Any, batch: Mapping[str, Any]) -> dict[str, tf.Tensor]:
    """The sums of a batch that the scores are made of."""
    y, outputs = batch["y"], model(batch["x"], training=False)
    logits, weights = outputs["logits"], y["mask_weights"]
    nats = keras.ops.sparse_categorical_crossentropy(y["mask_ids"], logits, from_logits=True)
    right = tf.argmax(logits, axis=-1, output_type=tf.int32) == y["mask_ids"]
    sums = {
        "nats": tf.reduce_sum(nats * weights),
        "right": tf.reduce_sum(tf.cast(right, tf.float32) * weights),
        "tokens": tf.reduce_sum(weights),
    }
    if "next_sentence" in y:
        guess = tf.argmax(outputs["next_sentence_logits"], axis=-1, output_type=tf.int32)
        hits = tf.cast(guess == y["next_sentence"], tf.float32)
        sums |= {"pairs_right": tf.reduce_sum(hits), "pairs": tf.size(hits)}
    return sums
