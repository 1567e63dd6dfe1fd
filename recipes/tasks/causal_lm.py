"""Pre-training of a causal language model: GPT-2 from left to right."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from ...zoo.generation import Sampling
from ...zoo.gpt2.backbone import GPT2
from ...zoo.gpt2.lm import GPT2CausalLM
from ...zoo.text.byte_pair_files import read_byte_pairs, vocabulary_of_merges
from ..config import Experiment, TaskConfig
from ..data import corpora
from ..data.byte_pair_vocabulary import learn_byte_pairs
from ..data.files import resolve
from ..data.identity import corpus_files
from ..data.token_rows import strided_rows, token_rows
from ..data.wikitext import plain_lines
from .task import Task


@dataclass(frozen=True)
class CausalLanguageModeling(TaskConfig):
    """Trains `GPT2CausalLM` on the text of a corpus: plain lines, one a sentence or paragraph.

    Args:
        corpus: str. A name out of `recipes.data.corpora`.
        preset: str or None. Start from this preset, or folder written by `save_to_preset`, with
            its vocabulary: fine-tuning. None starts anew.
        size: str. Size of the new model, see `GPT2.from_size`.
        model: mapping. Further arguments of a new `GPT2`, such as `{"num_layers": 4}`.
        vocabulary: str or None. Folder below `data.root` with a byte-level BPE's files; None learns
            one from the training text.
        num_merges: int or None. Merges that are learned; or those of the files that are used, the
            best ones first: the first merges of a BPE are a BPE themselves, of a smaller
            vocabulary. None: all of the files'.
        length: int. Tokens of a row.
        batch_size: int. Rows.
        stride: int. Evaluation reads rows that begin so many tokens apart: each token is predicted
            from at least `length - stride` before it.
        dropout: float. Of embeddings, residual additions and attention.
        prompts: tuple of str. Continued after training, as samples to read; "" is an article.
        sample_length: int. Tokens of each sample.
    """

    corpus: str = "wikitext2"
    preset: str | None = None
    size: str = "tiny"
    model: Mapping[str, int | float | bool | str | None] = field(default_factory=dict)
    vocabulary: str | None = None
    num_merges: int | None = 7_743
    length: int = 128
    batch_size: int = 32
    stride: int = 64
    dropout: float = 0.1
    prompts: tuple[str, ...] = ()
    sample_length: int = 60

    def create(self, experiment: Experiment) -> Task:
        return CausalLanguageModelingTask(experiment, self)

    def data_files(self) -> tuple[str, ...]:
        own = [f"{self.vocabulary}/vocab.bpe"] if self.vocabulary and self.preset is None else []
        return (*corpus_files(corpora.get(self.corpus)), *own)


class CausalLanguageModelingTask(Task):
    """Its score is the perplexity per word of the corpus, which vocabularies of pieces share: the
    nats of all tokens, divided by the words, line ends counted as words. `token_perplexity` is that
    per token.
    """

    monitor = ("perplexity", "min")

    def __init__(self, experiment: Experiment, config: CausalLanguageModeling):
        super().__init__(experiment)
        self.config = config
        self._texts: dict[str, tuple[np.ndarray, int]] = {}

    def setup(self, data_root: Path) -> None:
        super().setup(data_root)
        if self.config.preset is not None:
            kept = GPT2.from_preset(self.config.preset)
            self.vocabulary, self.merges = kept.vocabulary, kept.merges
            if self.vocabulary is None:
                raise ValueError(
                    "`task.preset` must hold a model with a vocabulary. Received: "
                    f"preset={self.config.preset!r}"
                )
            return
        self.merges = self._merges()
        self.vocabulary = vocabulary_of_merges(self.merges)

    def _merges(self) -> list[str]:
        count = self.config.num_merges
        if self.config.vocabulary is None:
            if count is None or count < 0:
                raise ValueError(
                    "`task.num_merges` must be a number of 0 or more where `task.vocabulary` is "
                    f"none. Received: num_merges={count}"
                )
            return learn_byte_pairs((f"{line['text']}\n" for line in self._lines("train")), count)
        found = resolve(self.root, f"{self.config.vocabulary}/vocab.bpe")
        _, merges = read_byte_pairs(found.parent)
        if count is not None and not 0 <= count <= len(merges):
            raise ValueError(
                f"`task.num_merges` must be from 0 to {len(merges)}, as many as there are. "
                f"Received: num_merges={count}"
            )
        return merges[:count]

    def check_data(self) -> None:
        ids, _ = self._text("train")
        next(token_rows(ids, self.config.length, self.config.batch_size))  # too short: refused
        super().check_data()

    def check_split(self, split: str) -> None:
        for _ in corpora.sentences(self.config.corpus, self.root, split):
            pass  # the reader refuses what is wrong

    def build_model(self) -> GPT2CausalLM:
        config = self.config
        drop = {"dropout": config.dropout, "attention_dropout": config.dropout}
        if config.preset is not None:
            model = GPT2CausalLM(GPT2.from_preset(config.preset, **drop))
        else:
            arguments = {**drop, **dict(config.model)}
            model = GPT2CausalLM(
                GPT2.from_size(
                    config.size, vocabulary=self.vocabulary, merges=self.merges, **arguments
                )
            )
        if config.length > model.max_length:
            raise ValueError(
                "`task.length` must be at most the model's `max_length`. Received: "
                f"length={config.length}, max_length={model.max_length}"
            )
        self._preprocessor = model.preprocessor
        return model

    def train_dataset(self, pass_seed: int) -> tf.data.Dataset:
        config = self.config
        ids, _ = self._text("train")

        def batches():
            yield from token_rows(ids, config.length, config.batch_size, seed=pass_seed)

        return self._dataset(batches, ("token_ids", "targets"), config.batch_size).map(
            lambda batch: (_inputs(batch), batch["targets"])
        )

    def evaluate(self, model: GPT2CausalLM, split: str) -> dict[str, float]:
        config = self.config
        ids, words = self._text(split)

        def batches():
            yield from strided_rows(ids, config.length, config.stride, config.batch_size)

        dataset = self._dataset(batches, ("token_ids", "targets", "weights"), None)
        total = 0.0
        for _, nats in self.predict(model, dataset, _nats):
            total += float(nats)
        return {
            "perplexity": math.exp(total / words),
            "token_perplexity": math.exp(total / (len(ids) - 1)),
        }

    def loss_weight(self, batch: Any) -> tf.Tensor:
        return self.count_tokens(batch)

    def details(self, model: GPT2CausalLM) -> dict[str, Any]:
        """Continuations of the prompts, each drawn from the 40 likeliest tokens."""
        config = self.config
        if not config.prompts:
            return {}
        prompts = [prompt or self._end_text() for prompt in config.prompts]
        texts = model.generate(
            prompts,
            Sampling(max_length=config.sample_length, temperature=1.0, top_k=40),
            seeds=self.seed,
        )
        return {"samples": dict(zip(config.prompts, texts, strict=True))}

    def _end_text(self) -> str:
        return str(self._preprocessor.end or "\n")

    def _dataset(self, batches, names, batch_size) -> tf.data.Dataset:
        kinds = {"token_ids": tf.int32, "targets": tf.int32, "weights": tf.bool}
        shape = (batch_size, self.config.length)
        signature = {name: tf.TensorSpec(shape, kinds[name], name=name) for name in names}
        return tf.data.Dataset.from_generator(batches, output_signature=signature).prefetch(2)

    def _lines(self, split: str) -> Iterator[dict[str, Any]]:
        return plain_lines(corpora.sentences(self.config.corpus, self.root, split))

    def _text(self, split: str) -> tuple[np.ndarray, int]:
        """A split as ids, (N,) int32, each article behind an end of text; and its words."""
        if split not in self._texts:
            end, pieces, words, lines = self._preprocessor.end_id, [], 0, []

            def encode():
                if lines:
                    ids = self._preprocessor.byte_pair(lines)
                    pieces.append(ids.flat_values.numpy().astype("int32"))
                    lines.clear()

            for line in self._lines(split):
                if line["is_first"] and end is not None:
                    encode()
                    pieces.append(np.array([end], "int32"))
                lines.append(line["text"] + "\n")
                words += line["words"]
            encode()
            self._texts[split] = (np.concatenate(pieces), words)
        return self._texts[split]


def _inputs(batch: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
    """What the model reads: rows are full, and what fills up the last one is never scored."""
    ids = batch["token_ids"]
    return {"token_ids": ids, "padding_mask": tf.ones_like(ids, tf.bool)}


def _nats(model: Any, batch: Mapping[str, tf.Tensor]) -> tf.Tensor:
    """The nats of a batch's weighted targets, summed."""
    logits = model(_inputs(batch), training=False)["logits"]
    nats = keras.ops.sparse_categorical_crossentropy(batch["targets"], logits, from_logits=True)
    return tf.reduce_sum(tf.where(batch["weights"], nats, 0.0))
