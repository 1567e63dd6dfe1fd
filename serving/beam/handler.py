"""SavedModelHandler: how Beam's RunInference runs a SavedModel on shards of text."""

from __future__ import annotations

import codecs
import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from apache_beam.ml.inference.base import ModelHandler

from .result import BadLine, Row, ShardResult
from .shard import Shard

# Outputs that are 1 at tokens and 0 at padding, as `Elmo`'s and the encoders' exports have them.
MASKS = ("mask", "padding_mask")


class SavedModelHandler(ModelHandler[Shard, ShardResult, Any]):
    """Embeds the lines of shards with a text signature of a SavedModel.

    Lines of like lengths share a batch. A batch that fails is tried again line by line, so one bad
    line takes no other with it. A byte order mark at the beginning of a file is not part of its
    first line.

    Args:
        model: str. Folder of one version of a SavedModel.
        signature: str. A signature with one string input (B,).
        outputs: sequence of str or None. The outputs to keep, which must have a row for each line;
            None: `sequence_output` if the signature has it, else all of that kind.
        batch_size: int. Lines.
        max_line_bytes: int. Longer lines are bad.
    """

    def __init__(
        self,
        model: str,
        signature: str = "serving_default",
        outputs: Sequence[str] | None = None,
        batch_size: int = 32,
        max_line_bytes: int = 65_536,
    ) -> None:
        super().__init__()
        self._model = model
        self._signature = signature
        self._outputs = None if outputs is None else tuple(outputs)
        self._batch_size = batch_size
        self._max_line_bytes = max_line_bytes

    def load_model(self) -> Any:
        """The signature, once a worker. Ops of tensorflow-text are registered first."""
        import tensorflow_text  # noqa: F401, not above: the launching machine may be without

        loaded = tf.saved_model.load(self._model)
        if self._signature not in loaded.signatures:
            raise ValueError(
                f"`signature` must be one of {sorted(loaded.signatures)}. "
                f"Received: signature={self._signature!r}"
            )
        function = loaded.signatures[self._signature]
        inputs = function.structured_input_signature[1]
        if [spec.dtype for spec in inputs.values()] != [tf.string]:
            raise ValueError(
                "`signature` must take one string tensor, a sentence a row. Received: "
                f"signature={self._signature!r}, which takes {inputs}"
            )
        ((name, spec),) = inputs.items()
        outputs = function.structured_outputs
        of_rows = [key for key in sorted(outputs) if _may_have_rows(outputs[key].shape, spec.shape)]
        wrong = sorted(set(self._outputs or ()) - set(of_rows))
        if wrong or not of_rows:
            raise ValueError(
                f"`outputs` must be of those with a row for each line, {of_rows}. "
                f"Received: {', '.join(wrong or sorted(outputs))}"
            )
        default = ["sequence_output"] if "sequence_output" in of_rows else of_rows
        return _Encoder(
            # The function alone would not keep its variables alive.
            loaded,
            function,
            name,
            tuple(self._outputs or default),
            next((key for key in MASKS if key in of_rows), None),
        )

    def run_inference(
        self,
        batch: Sequence[Shard],
        model: Any,
        inference_args: Mapping[str, Any] | None = None,
    ) -> Iterator[ShardResult]:
        for shard in batch:
            yield self._embed(shard, model)

    def batch_elements_kwargs(self) -> Mapping[str, Any]:
        # A shard goes on to its file as soon as it is done: a kill then costs one shard at most.
        return {"min_batch_size": 1, "max_batch_size": 1}

    def get_metrics_namespace(self) -> str:
        return "embed"

    def _embed(self, shard: Shard, encoder: _Encoder) -> ShardResult:
        texts, bad, blank = {}, [], 0
        for number, raw in enumerate(shard.lines, start=shard.first_line):
            if len(raw) > self._max_line_bytes:
                reason = f"{len(raw)} bytes long; at most {self._max_line_bytes} are taken"
                bad.append(BadLine(number, raw, reason))
                continue
            mark = codecs.BOM_UTF8 if number == 1 else b""
            try:
                text = raw.removeprefix(mark).decode("utf-8").strip()
            except UnicodeDecodeError as error:
                bad.append(BadLine(number, raw, f"not UTF-8: {error.reason} at {error.start}"))
                continue
            if text:
                texts[number] = text
            else:
                blank += 1
        rows = []
        by_length = sorted(texts, key=lambda number: (len(texts[number].split()), number))
        for start in range(0, len(by_length), self._batch_size):
            numbers = by_length[start : start + self._batch_size]
            for number, row in self._rows(numbers, texts, encoder):
                if isinstance(row, str):
                    bad.append(BadLine(number, shard.lines[number - shard.first_line], row))
                else:
                    rows.append(row)
        rows.sort(key=lambda row: row.line)
        bad.sort(key=lambda each: each.line)
        specs = {key: encoder.function.structured_outputs[key] for key in encoder.kept}
        kinds = {
            key: (spec.dtype.name, spec.shape.rank - 1)
            for key, spec in specs.items()
            if spec.shape.rank
        }
        return ShardResult(shard, rows, bad, blank, kinds)

    def _rows(
        self, numbers: Sequence[int], texts: Mapping[int, str], encoder: _Encoder
    ) -> Iterator[tuple[int, Row | str]]:
        """Rows of one batch; where the model fails on a line, its words in the row's place."""
        batch = tf.constant([texts[number] for number in numbers])
        try:
            outputs = encoder.function(**{encoder.input: batch})
        except tf.errors.OpError as error:
            if len(numbers) == 1:
                yield numbers[0], f"the model failed: {' '.join(error.message.split())[:300]}"
                return
            for number in numbers:
                yield from self._rows([number], texts, encoder)
            return
        arrays = {key: outputs[key].numpy() for key in {*encoder.kept, encoder.mask} - {None}}
        for key, array in sorted(arrays.items()):
            if np.shape(array)[:1] != (len(numbers),):  # a string alone is no array
                raise ValueError(
                    "`outputs` must be of those with a row for each line. Received: "
                    f"{key}, of shape {np.shape(array)} for {len(numbers)} lines"
                )
        mask = None if encoder.mask is None else arrays[encoder.mask]
        for i, number in enumerate(numbers):
            text = texts[number]
            length = len(text.split()) if mask is None else int(np.count_nonzero(mask[i]))
            kept = {}
            for key in encoder.kept:
                value = arrays[key][i, ...]  # with the dots a string is an array, too
                per_token = mask is not None and value.ndim and value.shape[0] == mask.shape[1]
                kept[key] = value[:length] if per_token else value
            yield number, Row(number, text, length, kept)


@dataclasses.dataclass(frozen=True)
class _Encoder:
    """A signature, and which of its outputs are of interest."""

    loaded: Any
    function: Any
    input: str
    kept: tuple[str, ...]
    mask: str | None


def _may_have_rows(shape: tf.TensorShape, lines: tf.TensorShape) -> bool:
    """Whether a tensor of a shape may have a row for each line, as far as that is known before."""
    if shape.rank is None:
        return True
    # A number of rows that is fixed is the number of lines only if that is fixed, too.
    return shape.rank > 0 and (shape[0] is None or (lines.rank == 1 and shape[0] == lines[0]))
