"""Tagging of words: entities by span F1, parts of speech by accuracy."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from ...zoo.bert.tagger import BertTagger
from ...zoo.tagger.model import Tagger
from ..config import Experiment, TaskConfig
from ..data import corpora, tag_schemes
from ..data.buckets import bucketed
from ..data.identity import corpus_files
from ..metrics import SpanF1
from .backbones import load_backbone
from .task import Task, check_min_count


@dataclass(frozen=True)
class Tagging(TaskConfig):
    """Trains a `Tagger`, with or without a context encoder, or fine-tunes a `BertTagger`.

    Args:
        corpus: str. A name out of `recipes.data.corpora`, of task "ner" or "pos".
        encoder: str or None. Preset, or folder written by `save_to_preset`, of the context encoder,
            of any kind.
        model: str. "tagger": `Tagger`, with recurrent layers upon the encoder; "bert":
            `BertTagger`, fine-tuned, with nothing but a linear layer upon it.
        pretrained: bool. False takes the encoder's architecture and vocabulary, not its weights.
        encoder_training, encoder_layers, encoder_at, mix_l2: see `Tagger`.
        scheme: str. Tag scheme in which spans are learned, in any case: "IO", "IOB1", "BIO",
            "BIOES", "BIOUL", or another name of one of them.
        batch_size: int. Sentences.
        min_count: int. Words seen less often in training share the unknown word's vector, and so
            train it.
        word_dim, num_layers, hidden_dim: see `Tagger`.
        dropout, head: see `Tagger` and `BertTagger`.
    """

    corpus: str = "wnut17"
    encoder: str | None = None
    model: str = "tagger"
    pretrained: bool = True
    encoder_training: str = "mix"
    encoder_layers: str = "mix"
    encoder_at: str = "input"
    mix_l2: float = 0.001
    scheme: str = "BIOES"
    batch_size: int = 32
    min_count: int = 2
    word_dim: int = 50
    num_layers: int = 1
    hidden_dim: int = 128
    dropout: float = 0.5
    head: str = "crf"

    def create(self, experiment: Experiment) -> Task:
        return TaggingTask(experiment, self)

    def data_files(self) -> tuple[str, ...]:
        return corpus_files(corpora.get(self.corpus))


class TaggingTask(Task):
    """Score: `f1` of the spans for entities, `accuracy` of the words for parts of speech.

    Dev and test may have types or tags that the train split has not. As in conlleval, they count
    among what was to be found; a line names them.
    """

    def __init__(self, experiment: Experiment, config: Tagging):
        super().__init__(experiment)
        check_min_count(config.min_count)
        # By one name from here on, whatever the one that was given.
        self.config = replace(config, scheme=tag_schemes.canonical_scheme(config.scheme))
        self.spans = corpora.get(config.corpus).scheme is not None
        self.monitor = ("f1" if self.spans else "accuracy", "max")
        self._noted: set[str] = set()  # splits

    def setup(self, data_root: Path) -> None:
        super().setup(data_root)
        words, tags = Counter(), set()
        for sentence in self._sentences("train"):
            words.update(word.lower() for word in sentence["tokens"])
            tags.update(sentence["tags"])
        known = [word for word, count in words.items() if count >= self.config.min_count]
        self.words = sorted(known, key=lambda word: (-words[word], word))
        self.tags = sorted(tags)
        if self.spans:
            # Every tag of each type, so that a type seen only as one word can also be longer.
            types = sorted({tag.partition("-")[2] for tag in tags} - {""})
            self.tags = list(tag_schemes.tag_vocabulary(types, self.config.scheme))
        self._ids = {tag: i for i, tag in enumerate(self.tags)}

    def check_split(self, split: str) -> None:
        self._note_unknown(split, (s["tags"] for s in self._sentences(split)))

    def build_model(self) -> Tagger | BertTagger:
        config = self.config
        encoder = None
        if config.encoder is not None:
            encoder = load_backbone(config.encoder, config.pretrained)
        scheme = config.scheme if self.spans and config.head == "crf" else None
        if config.model == "bert":
            if encoder is None:
                raise ValueError(
                    '`task.encoder` must be given for the model "bert". Received: encoder=None'
                )
            model = BertTagger(
                encoder, self.tags, head=config.head, scheme=scheme, dropout=config.dropout
            )
        elif config.model == "tagger":
            model = Tagger(
                encoder,
                self.tags,
                words=self.words,
                encoder_training=config.encoder_training,
                encoder_layers=config.encoder_layers,
                encoder_at=config.encoder_at,
                mix_l2=config.mix_l2,
                word_dim=config.word_dim,
                num_layers=config.num_layers,
                hidden_dim=config.hidden_dim,
                dropout=config.dropout,
                head=config.head,
                scheme=scheme,
            )
        else:
            raise ValueError(
                f'`task.model` must be "tagger" or "bert". Received: model={config.model!r}'
            )
        self._preprocessor = model.preprocessor
        return model

    def train_dataset(self, pass_seed: int) -> tf.data.Dataset:
        def sentences():
            for sentence in self._sentences("train"):
                yield {**sentence, "tag_ids": [self._ids[tag] for tag in sentence["tags"]]}

        preprocessor = self._preprocessor
        batches = bucketed(
            sentences,
            {"tokens": "string", "tag_ids": "int32"},
            batch_size=self.config.batch_size,
            seed=pass_seed,
        )
        return batches.map(lambda batch: (preprocessor.tokens(batch["tokens"]), batch["tag_ids"]))

    def evaluate(self, model: Tagger | BertTagger, split: str) -> dict[str, float]:
        gold, guesses = [], []
        for tokens, tags, ids in self._predictions(model, split):
            gold.append(tags)
            guesses.append([self.tags[i] for i in ids[: len(tokens)]])
        if self.spans:
            # Of any tags: a gold span of a type that the model does not know is a miss.
            metric = SpanF1(self.config.scheme)
            metric.update(gold, guesses)
            scores = metric.result()
            return {name: scores[name] for name in ("f1", "precision", "recall")}
        right = sum(
            a == b for g, h in zip(gold, guesses, strict=True) for a, b in zip(g, h, strict=True)
        )
        return {"accuracy": right / max(1, sum(map(len, gold)))}

    def loss_weight(self, batch: Any) -> tf.Tensor:
        """A CRF's loss is a mean over sentences, a softmax's over words."""
        if self.config.head == "crf":
            return super().loss_weight(batch)
        inputs = batch[0]
        words = inputs.get("word_mask", inputs["padding_mask"])  # pieces are no words
        return tf.reduce_sum(tf.cast(words, tf.int64))

    def details(self, model: Tagger | BertTagger) -> dict[str, Any]:
        """The weights that the mixes of the encoder's layers have learned."""
        return {"layer_weights": model.layer_weights()} if isinstance(model, Tagger) else {}

    def _predictions(self, model, split) -> Iterator[tuple[list[str], list[str], np.ndarray]]:
        """Words, gold tags and predicted tag ids of each sentence, batched by like lengths."""
        sentences = sorted(self._sentences(split), key=lambda s: len(s["tokens"]))
        self._note_unknown(split, (s["tags"] for s in sentences))
        size = 2 * self.config.batch_size
        chunks = [sentences[i : i + size] for i in range(0, len(sentences), size)]

        def batches():
            for chunk in chunks:
                yield tf.ragged.constant([s["tokens"] for s in chunk], dtype=tf.string).to_tensor(
                    ""
                )

        preprocessor = self._preprocessor
        dataset = tf.data.Dataset.from_generator(
            batches, output_signature=tf.TensorSpec((None, None), tf.string)
        ).map(preprocessor.tokens)
        for chunk, (_, outputs) in zip(chunks, self.predict(model, dataset), strict=True):
            for sentence, ids in zip(chunk, outputs["tag_ids"], strict=True):
                yield sentence["tokens"], sentence["tags"], ids

    def _note_unknown(self, split: str, sentences: Iterable[Sequence[str]]) -> None:
        """Says once which gold tags of a split the model does not know."""
        unknown = {tag for tags in sentences for tag in tags if tag not in self._ids}
        if not unknown or split in self._noted:
            return
        self._noted.add(split)
        if self.spans:
            unknown = {tag.partition("-")[2] for tag in unknown}
        what = "entity types" if self.spans else "tags"
        self.say(
            f"the {split} split of {self.config.corpus} has {what} that the train split has not; "
            f"each counts as a miss: {', '.join(sorted(unknown))}"
        )

    def _sentences(self, split: str) -> Iterator[dict[str, Any]]:
        return corpora.sentences(self.config.corpus, self.root, split, scheme=self.config.scheme)
