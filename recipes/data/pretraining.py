"""Batches for BERT's pre-training: segments packed, and masked anew in each pass."""

import itertools
import random
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from ...zoo.bert.preprocessor import BertPreprocessor
from ...zoo.text.masking import mask_tokens
from .sentence_pairs import sentence_pairs, sentence_runs
from .wikitext import read_documents

Documents = Sequence[Sequence[Sequence[int]]]


def encode_documents(path: Any, preprocessor: BertPreprocessor) -> Documents:
    """Reads a text in WikiText's form as piece ids: documents of sentences.

    Each distinct word is cut into pieces once, so that this takes seconds. WikiText's own "<unk>"
    becomes "[UNK]".
    """
    documents = [document["sentences"] for document in read_documents(path)]
    types = sorted({word for document in documents for words in document for word in words})
    if not types:
        raise ValueError(f"`path` must hold a document with sentences. Received: {path}")
    texts = ["[UNK]" if word == "<unk>" else word for word in types]
    pieces = preprocessor.word_piece(texts).merge_dims(1, 2).to_list()
    ids = dict(zip(types, pieces, strict=True))
    return [
        [[piece for word in words for piece in ids[word]] for words in document]
        for document in documents
    ]


def check_rows(
    documents: Documents,
    sequence_length: int,
    batch_size: int,
    seed: int,
    next_sentence: bool = True,
    short_sequence_probability: float = 0.1,
) -> None:
    """Refuses documents that fill no batch of `pretraining_batches`, whose arguments these are.

    Makes no more rows than a batch has.

    Raises:
        ValueError: fewer rows than `batch_size`, or for `next_sentence` fewer than two documents.
    """
    rng = random.Random(f"{seed}/pairs")
    rows = _segments(documents, sequence_length, rng, next_sentence, short_sequence_probability)
    _check_filled(sum(1 for _ in itertools.islice(rows, batch_size)), batch_size)


def _segments(documents, sequence_length, rng, next_sentence, short_sequence_probability):
    """The segments of a pass, row by row, in the order of the documents that `rng` draws."""
    make = sentence_pairs if next_sentence else sentence_runs
    room = sequence_length - (3 if next_sentence else 2)
    return make(documents, room, rng, short_sequence_probability)


def _check_filled(rows: int, batch_size: int) -> None:
    if rows < batch_size:
        raise ValueError(
            f"`documents` must fill a batch. Received: {rows} rows, batch_size={batch_size}"
        )


def pretraining_batches(
    documents: Documents,
    preprocessor: BertPreprocessor,
    sequence_length: int,
    batch_size: int,
    seed: int,
    objective: str = "masked",
    next_sentence: bool = True,
    rate: float = 0.15,
    mask_rate: float = 0.8,
    random_rate: float = 0.1,
    whole_words: bool = False,
    short_sequence_probability: float = 0.1,
) -> tf.data.Dataset:
    """One pass over the documents in rows of one length, decided by `seed` alone.

    Rows are shuffled over the whole pass; those that do not fill the last batch are left out.

    Shapes: B batch_size, L sequence_length, P predictions.

    Args:
        documents: as of `encode_documents`.
        preprocessor: `BertPreprocessor`, whose `pack` and vocabulary are used.
        sequence_length: int. L.
        batch_size: int. B.
        seed: int.
        objective: "masked", or "left_to_right": every token is predicted from those before it,
            which needs a causal model.
        next_sentence: bool. Rows are pairs, half of them strangers; else one segment.
        rate, mask_rate, random_rate: see `mask_tokens`.
        whole_words: bool. Words are masked with all of their pieces.
        short_sequence_probability: float. See `sentence_pairs`.

    Returns:
        `tf.data.Dataset` of dict: `token_ids`, `segment_ids` (B, L) int32, `padding_mask` (B, L)
        bool, `mask_positions`, `mask_ids` (B, P) int32, `mask_weights` (B, P) float32, and with
        `next_sentence` also `next_sentence` (B,) int32, 1 where the second segment is a stranger.
        P is L · rate, rounded up; for "left_to_right" L - 1.

    Raises:
        ValueError: the documents do not fill a batch (reported while iterating; `check_rows` does
            it before).
    """
    if objective not in ("masked", "left_to_right"):
        raise ValueError(
            f'`objective` must be "masked" or "left_to_right". Received: objective={objective!r}'
        )
    special = preprocessor.special_tokens()
    vocabulary = preprocessor.vocabulary
    continues = tf.constant([piece.startswith("##") for piece in vocabulary])
    boundaries = tf.constant([special["start_of_sequence_id"], special["end_of_segment_id"]])

    def rows() -> Iterator[dict[str, Any]]:
        rng = random.Random(f"{seed}/pairs")
        found = list(
            _segments(documents, sequence_length, rng, next_sentence, short_sequence_probability)
        )
        _check_filled(len(found), batch_size)
        rng.shuffle(found)
        for number, start in enumerate(range(0, len(found) - batch_size + 1, batch_size)):
            batch = found[start : start + batch_size]
            yield {
                **_padded("first", [row["first"] for row in batch]),
                **_padded("second", [row["second"] for row in batch]),
                "next_sentence": np.array([row["is_random"] for row in batch], "int32"),
                "number": np.int32(number),
            }

    def pack(row: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        names = ("first", "second") if next_sentence else ("first",)
        segments = [tf.RaggedTensor.from_tensor(row[name], row[f"{name}_length"]) for name in names]
        packed = preprocessor.pack(segments, sequence_length)
        packed = {
            name: tf.ensure_shape(x, (batch_size, sequence_length)) for name, x in packed.items()
        }
        ids, mask = packed["token_ids"], packed["padding_mask"]
        if objective == "left_to_right":
            positions = tf.range(sequence_length - 1)[None, :]
            packed |= {
                "mask_positions": tf.tile(positions, [batch_size, 1]),
                "mask_ids": ids[:, 1:],
                "mask_weights": tf.cast(mask[:, 1:], tf.float32),
            }
        else:
            at_boundary = tf.reduce_any(ids[:, :, None] == boundaries, axis=-1)
            packed |= mask_tokens(
                ids,
                mask,
                mask & ~at_boundary,
                # Two numbers, so that neither two passes nor two batches draw alike.
                tf.stack([tf.constant(seed % 2**31, tf.int32), row["number"]]),
                special["mask_id"],
                len(vocabulary),
                max_predictions=-int(-sequence_length * rate // 1),
                rate=rate,
                mask_rate=mask_rate,
                random_rate=random_rate,
                continues=tf.gather(continues, ids) if whole_words else None,
            )
        if next_sentence:
            packed["next_sentence"] = tf.ensure_shape(row["next_sentence"], (batch_size,))
        return packed

    signature = {
        "next_sentence": tf.TensorSpec((batch_size,), tf.int32),
        "number": tf.TensorSpec((), tf.int32),
    }
    for name in ("first", "second"):
        signature[name] = tf.TensorSpec((batch_size, None), tf.int32)
        signature[f"{name}_length"] = tf.TensorSpec((batch_size,), tf.int64)
    dataset = tf.data.Dataset.from_generator(rows, output_signature=signature)
    return dataset.map(pack, num_parallel_calls=1).prefetch(4)


def _padded(name: str, segments: Iterable[Sequence[int]]) -> dict[str, np.ndarray]:
    segments = list(segments)
    lengths = np.array([len(segment) for segment in segments], "int64")
    array = np.zeros((len(segments), int(lengths.max(initial=0))), "int32")
    for row, segment in zip(array, segments, strict=True):
        row[: len(segment)] = segment
    return {name: array, f"{name}_length": lengths}
