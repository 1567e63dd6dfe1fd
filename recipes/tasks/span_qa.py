"""Answering questions by a span of a text: SQuAD 1.1 and 2.0."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import tensorflow as tf

from ...zoo.backbone import Backbone
from ...zoo.bert.span_qa import BertSpanQA
from ..config import Experiment, TaskConfig
from ..data import squad
from ..data.buckets import bucketed
from ..data.identity import corpus_files
from ..data.qa_features import FEATURES, QuestionFeatures, model_inputs, question_features
from ..data.registry import look_up
from ..data.windows import best_answers
from ..metrics import best_null_threshold, squad_scores
from .backbones import load_backbone
from .task import Task

BOUNDARIES = (64, 96, 128, 160, 192, 224, 256, 320, 384, 512)


@dataclass(frozen=True)
class SpanQA(TaskConfig):
    """Fine-tunes `BertSpanQA`.

    Args:
        corpus: str. A name out of `recipes.data.squad`.
        encoder: str. Preset, or folder written by `save_to_preset`, of the backbone.
        pretrained: bool. False takes the encoder's architecture and vocabulary, not its weights.
        model: mapping. Arguments of the backbone to change, such as `{"dropout": 0.0}`.
        batch_size: int. Windows.
        max_length, stride, max_question_length: int. See `windows`.
        max_answer_length: int. Pieces of an answer.
        n_best: int. Starts and ends of a window that are combined.
        null_answers: bool. SQuAD 2.0: a question may have no answer. Then the span at [CLS] says
            so, where its score beats the best answer's by more than a threshold, which is tuned on
            the dev split and exported with the model.
    """

    corpus: str = "squad11"
    encoder: str = "minilm_l6_en"
    pretrained: bool = True
    model: Mapping[str, float | int | bool | str | None] = field(default_factory=dict)
    batch_size: int = 32
    max_length: int = 384
    stride: int = 128
    max_question_length: int = 64
    max_answer_length: int = 30
    n_best: int = 20
    null_answers: bool = False

    def create(self, experiment: Experiment) -> Task:
        return SpanQATask(experiment, self)

    def data_files(self) -> tuple[str, ...]:
        return corpus_files(look_up(squad.CORPORA, self.corpus))


class SpanQATask(Task):
    """Scores: `f1` and `exact_match` of the answers' texts, as SQuAD's own program counts them."""

    monitor = ("f1", "max")

    def __init__(self, experiment: Experiment, config: SpanQA):
        super().__init__(experiment)
        self.config = config
        self._encoded: dict[str, list[QuestionFeatures]] = {}

    def check_split(self, split: str) -> None:
        for _ in squad.questions(self.config.corpus, self.root, split):
            pass  # the reader refuses what is wrong

    def build_model(self) -> BertSpanQA:
        backbone: Backbone = load_backbone(
            self.config.encoder, self.config.pretrained, **self.config.model
        )
        self._preprocessor: Any = backbone.preprocessor
        return BertSpanQA(
            backbone,
            window_length=self.config.max_length,
            stride=self.config.stride,
            max_question_length=self.config.max_question_length,
            max_answer_length=self.config.max_answer_length,
            null_answers=self.config.null_answers,
        )

    def train_dataset(self, pass_seed: int) -> tf.data.Dataset:
        rows = [row for features in self._features("train") for row in features.rows]
        padding = self._preprocessor.special_tokens()["padding_id"]
        batches = bucketed(
            lambda: rows,
            FEATURES,
            batch_size=self.config.batch_size,
            boundaries=BOUNDARIES,
            length_of="token_ids",
            seed=pass_seed,
        )
        return batches.map(
            lambda batch: (
                model_inputs(batch, padding),
                {"start": batch["start"], "end": batch["end"]},
            )
        )

    def evaluate(self, model: BertSpanQA, split: str) -> dict[str, float]:
        answers = {f.question["id"]: f.question["answers"] for f in self._features(split)}
        texts, differences = self.answers(model, split)
        if not self.config.null_answers:
            return squad_scores(texts, answers)
        if split == self.dev_split:
            model.null_threshold, _ = best_null_threshold(differences, texts, answers)
        given = {
            name: "" if differences[name] > model.null_threshold else text
            for name, text in texts.items()
        }
        return squad_scores(given, answers)

    def details(self, model: BertSpanQA) -> dict[str, Any]:
        """The threshold beyond which no answer is given."""
        return {"null_threshold": model.null_threshold} if self.config.null_answers else {}

    def complete(self, model: BertSpanQA, details: Mapping[str, Any]) -> None:
        """Sets the threshold that the scores are of; tunes it where there are none."""
        if not self.config.null_answers:
            return
        if "null_threshold" in details:
            model.null_threshold = float(details["null_threshold"])
        else:
            self.evaluate(model, self.dev_split)

    def answers(self, model: BertSpanQA, split: str) -> tuple[dict[str, str], dict[str, float]]:
        """The best answer to each question of a split.

        Returns:
            (question id → text, question id → null score minus the answer's score). A question to
            which no span is an answer gets "" and infinity.
        """
        features = self._features(split)
        logits = self._logits(model, features)
        texts, differences = {}, {}
        for feature, (starts, ends) in zip(features, logits, strict=True):
            name = feature.question["id"]
            found, null = best_answers(
                feature.windows, starts, ends, self.config.n_best, self.config.max_answer_length
            )
            texts[name] = feature.text(found[0].start, found[0].end) if found else ""
            differences[name] = null - found[0].score if found else float("inf")
        return texts, differences

    def _logits(self, model: BertSpanQA, features: list[QuestionFeatures]):
        """For each question its windows' start logits and end logits, (windows, (L,)) each."""
        rows = [(i, j) for i, feature in enumerate(features) for j in range(len(feature.rows))]
        rows.sort(key=lambda at: len(features[at[0]].rows[at[1]]["token_ids"]))
        padding = self._preprocessor.special_tokens()["padding_id"]
        batches = bucketed(
            # One by one in the order of their lengths, each bucket's limit out of reach.
            lambda: (features[i].rows[j] for i, j in rows),
            FEATURES,
            batch_size=2 * self.config.batch_size,
            boundaries=(self.config.max_length,),
            length_of="token_ids",
        ).map(lambda batch: model_inputs(batch, padding))
        logits: list[tuple[list[Any], list[Any]]] = [
            ([None] * len(f.rows), [None] * len(f.rows)) for f in features
        ]
        order = iter(rows)
        for _, outputs in self.predict(model, batches):
            pairs = zip(outputs["start_logits"], outputs["end_logits"], strict=True)
            for start, end in pairs:
                i, j = next(order)
                length = features[i].windows[j].length
                logits[i][0][j], logits[i][1][j] = start[:length], end[:length]
        return logits

    def _features(self, split: str) -> list[QuestionFeatures]:
        if split not in self._encoded:
            config = self.config
            self._encoded[split] = question_features(
                squad.questions(config.corpus, self.root, split),
                self._preprocessor,
                config.max_length,
                config.stride,
                config.max_question_length,
            )
        return self._encoded[split]
