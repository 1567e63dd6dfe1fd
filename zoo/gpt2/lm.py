import functools
import json
from pathlib import Path
from typing import Any

import keras
from keras import ops

from ..given import check_backbone
from ..mean_loss import mean_loss
from ..preset import CONFIG
from ..task import TaskModel


@keras.saving.register_keras_serializable(package="polysemy")
class GPT2CausalLM(TaskModel):
    """Predicts the next token at each position; the token vectors are also the softmax's.

    It continues text, see `generate`. Loss: the mean cross-entropy of a token, in nats.

    Shapes: B batch, L tokens, V vocabulary_size.

    Inputs (dict): the backbone's `token_ids` and `padding_mask` (B, L).

    Outputs (dict):
        logits: (B, L, V) float32. Of the token that follows each position.

    Args:
        backbone: `GPT2`.

    Example:
    >>> from polysemy.zoo import GPT2
    >>> model = GPT2CausalLM(GPT2.from_size("tiny", vocabulary_size=300))
    >>> ids = keras.ops.ones((2, 5), "int32")
    >>> model({"token_ids": ids, "padding_mask": ids > 0})["logits"].shape
    TensorShape([2, 5, 300])

    Reference: [Radford et al., 2019](https://openai.com/index/better-language-models/)
    """

    def __init__(self, backbone, dtype=None, name="gpt2_causal_lm", **kwargs):
        check_backbone(backbone)
        inputs = backbone.input
        hidden = backbone(inputs)["sequence_output"]  # (B, L, D)
        logits = backbone.token_embedding(hidden, reverse=True)
        outputs = {"logits": ops.cast(logits, "float32")}
        super().__init__(
            backbone=backbone, inputs=inputs, outputs=outputs, dtype=dtype, name=name, **kwargs
        )

    @classmethod
    def from_checkpoint(cls, directory, allow_pickle=False, **overrides):
        """The language model around `GPT2.from_checkpoint`, with the same arguments."""
        from .backbone import GPT2

        return cls(GPT2.from_checkpoint(directory, allow_pickle, **overrides))

    @classmethod
    def from_preset(cls, preset, **overrides):
        """Loads a language model, or makes one of a folder that holds a `GPT2`: the head has no
        weights of its own. See `ZooModel.from_preset`; `backbone` is a dict of `GPT2`'s arguments.
        """
        config = Path(preset) / CONFIG
        if not config.is_file() or json.loads(config.read_text()).get("class_name") != "GPT2":
            return super().from_preset(preset, **overrides)
        from .backbone import GPT2

        return cls(GPT2.from_preset(preset, **overrides.pop("backbone", {})), **overrides)

    def save_as_huggingface(self, directory):
        """Writes `config.json`, `model.safetensors` and the vocabulary as `transformers` does."""
        self.backbone.save_as_huggingface(directory)

    @property
    def max_length(self):
        """The most positions that prompt and answer can have together."""
        return self.backbone.max_length

    @property
    def vocabulary_size(self):
        return self.backbone.vocabulary_size

    def make_preprocessor(self):
        return self.backbone.preprocessor

    def init_cache(self, batch_size, length):
        """See `GPT2.init_cache`."""
        return self.backbone.init_cache(batch_size, length)

    def step(self, token_ids, cache, index, lengths=None):
        """As `GPT2.step`, with the logits (B, V) float32 of the token that comes next."""
        hidden, cache = self.backbone.step(token_ids, cache, index, lengths)
        return ops.cast(self._scores(hidden), "float32"), cache

    def _scores(self, hidden):
        """(B, D) -> (B, V)."""
        embedding = self.backbone.token_embedding
        if embedding.quantization_mode is not None:
            return embedding(hidden, reverse=True)
        # The vectors times few rows, not the rows times them: XLA's threads share this product.
        vectors = ops.cast(embedding.embeddings, hidden.dtype)
        return ops.transpose(ops.matmul(vectors, ops.transpose(hidden)))

    @functools.cached_property
    def generator(self):
        """Continues ids, see `Generator`. Compiled at first use."""
        from ..generation import Generator

        return Generator(self)

    def generate(self, prompts, sampling=None, seeds=0, **arguments):
        """Continues texts: list of str -> list of str; see `polysemy.zoo.generation.generate`."""
        from ..generation import generate

        return generate(self, prompts, sampling, seeds, **arguments)

    def compute_loss(
        self, x: Any = None, y=None, y_pred: Any = None, sample_weight=None, training=True
    ):
        """The mean over the positions that have a target; see `mean_loss` for the weights.

        `y` (B, L) int32 is the token that follows each position, -1 where there is none. Without
        it each row is shifted by one, and what follows or is padding is no target.
        """
        if y is None:
            y = ops.where(x["padding_mask"], x["token_ids"], -1)
            y = ops.pad(y[:, 1:], [[0, 0], [0, 1]], constant_values=-1)
        y = ops.cast(y, "int32")
        each = ops.sparse_categorical_crossentropy(
            ops.maximum(y, 0), y_pred["logits"], from_logits=True
        )
        return self.total_loss(mean_loss(each, y >= 0, sample_weight))

    def serving_signatures(self):
        """`generate` and `next_word`, text in and text out; see `serving.py`."""
        if self.preprocessor is None:
            return {}
        from .serving import signatures

        return signatures(self)
