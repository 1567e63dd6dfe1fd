"""Questions and contexts to the windows that a span model reads."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from ...zoo.bert.preprocessor import BertPreprocessor
from .windows import Window, answer_pieces, target_positions, windows


class Encoded(NamedTuple):
    """A text as pieces, (N,) each: ids, and the characters that each piece stands for."""

    ids: np.ndarray
    starts: np.ndarray
    ends: np.ndarray


class QuestionFeatures(NamedTuple):
    """A question, its context's pieces and its windows.

    Attributes:
        question: the question, as of `read_squad`.
        context: Encoded.
        windows: list of Window.
        rows: for each window dict of lists over its positions: `token_ids`, `segment_ids` and
            `padding_mask`, all 1; and the ints `start` and `end`, where its answer stands.
    """

    question: Mapping[str, Any]
    context: Encoded
    windows: list[Window]
    rows: list[dict[str, Any]]

    def text(self, start: int, end: int) -> str:
        """The characters of the context from piece `start` to piece `end`, inclusive."""
        first, last = int(self.context.starts[start]), int(self.context.ends[end])
        return self.question["context"][first:last]


def encode_texts(
    preprocessor: BertPreprocessor, texts: Sequence[str], batch_size: int = 256
) -> list[Encoded]:
    """Cuts texts into pieces with their offsets, in characters."""
    encoded = []
    for first in range(0, len(texts), batch_size):
        pieces = preprocessor.word_piece.with_offsets(texts[first : first + batch_size])
        parts = [part.merge_dims(1, 2) for part in pieces]
        splits = parts[0].row_splits.numpy()
        values = [part.values.numpy() for part in parts]
        encoded += [
            Encoded(*(value[a:b] for value in values))
            for a, b in zip(splits[:-1], splits[1:], strict=True)
        ]
    return encoded


def question_features(
    questions: Iterable[Mapping[str, Any]],
    preprocessor: BertPreprocessor,
    max_length: int = 384,
    stride: int = 128,
    max_question_length: int = 64,
) -> list[QuestionFeatures]:
    """Makes the windows of questions: `[CLS] question [SEP] part of the context [SEP]`.

    A window's targets are the first and the last piece of the first annotated answer, or [CLS],
    position 0, if it does not hold all of it.

    Args:
        questions: as of `read_squad`.
        preprocessor: `BertPreprocessor`.
        max_length, stride, max_question_length: see `windows`.

    Raises:
        ValueError: an empty context, or one without a piece where the answer is; names the
            question.
    """
    questions = list(questions)
    contexts = list(dict.fromkeys(question["context"] for question in questions))
    encoded = dict(zip(contexts, encode_texts(preprocessor, contexts), strict=True))
    asked = encode_texts(preprocessor, [question["question"] for question in questions])
    special = preprocessor.special_tokens()
    begin, end = special["start_of_sequence_id"], special["end_of_segment_id"]
    features = []
    for question, pieces in zip(questions, asked, strict=True):
        context = encoded[question["context"]]
        if not len(context.ids):
            raise ValueError(
                "Each context must hold at least one piece. Received: question "
                f"{question['id']!r}, context={question['context'][:80]!r}"
            )
        answer = None
        if question["answers"]:
            first = question["starts"][0]
            try:
                last = first + len(question["answers"][0])
                answer = answer_pieces(context.starts, context.ends, first, last)
            except ValueError as error:
                raise ValueError(f"{error}, question {question['id']!r}") from error
        found = windows(len(pieces.ids), len(context.ids), max_length, stride, max_question_length)
        rows = []
        for window in found:
            asked_ids = pieces.ids[: window.question].tolist()
            part = context.ids[window.start : window.end].tolist()
            start, stop = target_positions(window, answer)
            rows.append(
                {
                    "token_ids": [begin, *asked_ids, end, *part, end],
                    "segment_ids": [0] * window.offset + [1] * (len(part) + 1),
                    "padding_mask": [1] * window.length,
                    "start": start,
                    "end": stop,
                }
            )
        features.append(QuestionFeatures(question, context, found, rows))
    return features


FEATURES = {
    "token_ids": "int32",
    "segment_ids": "int32",
    "padding_mask": "int32",
    "start": "int32",
    "end": "int32",
}


def model_inputs(batch: Mapping[str, tf.Tensor], padding_id: int) -> dict[str, tf.Tensor]:
    """A padded batch of rows as the inputs of the model."""
    mask = batch["padding_mask"] > 0
    return {
        "token_ids": tf.where(mask, batch["token_ids"], padding_id),
        "segment_ids": batch["segment_ids"],
        "padding_mask": mask,
    }
