"""Classification of texts and of pairs of texts, and scores of them (regression)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import tensorflow as tf

from ...zoo.bert.features import BertFeatures
from ...zoo.bert.text_classifier import BertTextClassifier
from ..config import Experiment, TaskConfig
from ..data import texts
from ..data.buckets import bucketed
from ..data.identity import corpus_files
from ..metrics import label_scores
from .backbones import load_backbone
from .task import Task


@dataclass(frozen=True)
class Classification(TaskConfig):
    """Fine-tunes `BertTextClassifier`, or trains it upon a frozen encoder.

    Args:
        corpus: str. A name out of `recipes.data.texts`.
        encoder: str. Preset, or folder written by `save_to_preset`, of the backbone.
        pretrained: bool. False takes the encoder's architecture and vocabulary, not its weights.
        model: mapping. Arguments of the backbone to change, such as `{"pooling": "cls"}`.
        encoder_training: str. "full": fine-tuning; "frozen": feature-based.
        features: tuple of int. Layers of the encoder whose vectors stand side by side in the text's
            mean vector, 0 the embeddings, -1 the last; none: the encoder's own pooled output.
        batch_size: int. Texts.
        max_length: int. Pieces; longer texts are cut, see `BertPreprocessor`.
        dropout: float. On the text's vector.
    """

    corpus: str = "sst2"
    encoder: str = "minilm_l6_en"
    pretrained: bool = True
    model: Mapping[str, float | int | bool | str | None] = field(default_factory=dict)
    encoder_training: str = "full"
    features: tuple[int, ...] = ()
    batch_size: int = 32
    max_length: int = 128
    dropout: float = 0.1

    def create(self, experiment: Experiment) -> Task:
        return ClassificationTask(experiment, self)

    def data_files(self) -> tuple[str, ...]:
        return corpus_files(texts.get(self.corpus))


class ClassificationTask(Task):
    """Scores: those that the corpus names; its first one is followed."""

    def __init__(self, experiment: Experiment, config: Classification):
        super().__init__(experiment)
        if config.encoder_training not in ("full", "frozen"):
            raise ValueError(
                '`task.encoder_training` must be "full" or "frozen". Received: '
                f"encoder_training={config.encoder_training!r}"
            )
        self.config = config
        self.corpus = texts.get(config.corpus)
        self.monitor = (self.corpus.metrics[0], "max")

    def check_split(self, split: str) -> None:
        for _ in self._examples(split):
            pass  # the reader refuses what is wrong

    def build_model(self) -> BertTextClassifier:
        config = self.config
        backbone = load_backbone(config.encoder, config.pretrained, **config.model)
        backbone.trainable = config.encoder_training == "full"
        labels = self.corpus.labels
        model = BertTextClassifier(
            BertFeatures(backbone, layers=config.features) if config.features else backbone,
            num_classes=1 if labels is None else len(labels),
            labels=None if labels is None else list(labels),
            dropout=config.dropout,
        )
        self._preprocessor: Any = backbone.preprocessor
        return model

    def train_dataset(self, pass_seed: int) -> tf.data.Dataset:
        return self._batches("train", self.config.batch_size, seed=pass_seed)

    def evaluate(self, model: BertTextClassifier, split: str) -> dict[str, float]:
        true, predicted = [], []
        batches = self._batches(split, 2 * self.config.batch_size)
        for (_, labels), outputs in self.predict(model, batches):
            logits = outputs["logits"]
            true.append(labels.numpy())
            predicted.append(logits[:, 0] if self.corpus.labels is None else logits.argmax(-1))
        return label_scores(np.concatenate(true), np.concatenate(predicted), self.corpus.metrics)

    def _batches(self, split: str, batch_size: int, seed: int | None = None) -> tf.data.Dataset:
        """Texts of like lengths, as the model and its loss take them."""
        batches = bucketed(
            lambda: self._examples(split),
            {
                "text": "string",
                "pair": "string",
                "label": "float32" if self.corpus.labels is None else "int32",
                "words": "string",  # nothing but a length
            },
            batch_size=batch_size,
            length_of="words",
            seed=seed,
        )
        return batches.map(lambda batch: (self._inputs(batch), batch["label"]))

    def _inputs(self, batch: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """The model's inputs, padded to the longest text of the batch within `max_length`."""
        preprocessor = self._preprocessor
        names = ("text", "pair") if self.corpus.is_pair else ("text",)
        segments = [preprocessor.word_piece(batch[name]).merge_dims(1, 2) for name in names]
        lengths = sum(segment.row_lengths() for segment in segments) + 1 + len(segments)
        longest = tf.minimum(tf.cast(tf.reduce_max(lengths), tf.int32), self.config.max_length)
        return preprocessor.pack(segments, longest)

    def _examples(self, split: str) -> Iterator[dict[str, Any]]:
        for example in texts.examples(self.config.corpus, self.root, split):
            words = example["text"].split() + example["pair"].split()
            yield {**example, "words": words or [""]}
