import keras
from keras import ops

from ...layers.cache_place import CachePlace
from ...layers.layer_norm import LayerNorm
from ...layers.masks import combine_masks, padding_attention_mask
from ...layers.position_embedding import PositionEmbedding
from ...layers.table_initializer import TableInitializer
from ...layers.transformer_block import TransformerBlock
from ..backbone import Backbone
from .sizes import GPT2_SIZES


@keras.saving.register_keras_serializable(package="polysemy")
class GPT2(Backbone):
    """GPT-2: a Transformer's decoder that reads from left to right; each token sees those before.

    With `norm="post"` it is GPT, which has no norm behind the last block.

    Shapes: B batch, L tokens, D hidden_dim, H num_heads, N num_layers.

    Inputs (dict), as `GPT2Preprocessor` makes them:
        token_ids: (B, L) int32. L is at most `max_length`.
        padding_mask: (B, L) bool, True at tokens, padding on the right.

    Outputs (dict):
        sequence_output: (B, L, D). The last block's output, behind the final norm of GPT-2.
        layer_outputs: (B, N + 1, L, D). The embeddings with their positions, the output of each
            block, and as the last one `sequence_output`.
        attention: (B, N, H, L, L) float32, query by key; with `return_attention`.

    Args:
        vocabulary: list of str or None. Tokens in the order of ids; see `BytePair`. None: the
            model has no preprocessor and reads ids.
        merges: list of str. Needed with `vocabulary`.
        vocabulary_size: int. By default as many as `vocabulary` has.
        num_layers, num_heads, hidden_dim: int.
        intermediate_dim: int or None. By default 4 D.
        max_length: int. Tokens that it can look at; the preprocessor cuts what is longer.
        norm: "pre" or "post". See `TransformerBlock`.
        activation: str. See `FeedForward`.
        dropout: float. Of the embeddings and before each residual addition, in training.
        attention_dropout: float. Of the attention's probabilities, in training.
        layer_norm_epsilon: float.
        sequence_length: int or None. The preprocessor cuts and pads to this many tokens; None pads
            to the longest text of the batch.
        return_attention: bool.
        specials: list of str. Tokens of the vocabulary that are found in text as they stand, beside
            "<|endoftext|>".

    Example:
    >>> gpt2 = GPT2.from_size("tiny", vocabulary_size=300)
    >>> ids = keras.ops.ones((2, 5), "int32")
    >>> gpt2({"token_ids": ids, "padding_mask": ids > 0})["layer_outputs"].shape
    TensorShape([2, 5, 5, 128])

    Reference: [Radford et al., 2019](https://openai.com/index/better-language-models/); GPT is
    [Radford et al., 2018](https://openai.com/index/language-unsupervised/).
    """

    splits_words = True

    def __init__(
        self,
        vocabulary=None,
        merges=None,
        vocabulary_size=None,
        num_layers=12,
        num_heads=12,
        hidden_dim=768,
        intermediate_dim=None,
        max_length=1024,
        norm="pre",
        activation="gelu_tanh",
        dropout=0.1,
        attention_dropout=0.1,
        layer_norm_epsilon=1e-5,
        sequence_length=None,
        return_attention=False,
        specials=(),
        dtype=None,
        name="gpt2",
        **kwargs,
    ):
        vocabulary_size = _vocabulary_size(vocabulary, merges, vocabulary_size)
        if hidden_dim % num_heads:
            raise ValueError(
                "`hidden_dim` must be divisible by `num_heads`. Received: "
                f"hidden_dim={hidden_dim}, num_heads={num_heads}"
            )
        if sequence_length is not None and not 1 <= sequence_length <= max_length:
            raise ValueError(
                "`sequence_length` must be between 1 and `max_length`. Received: "
                f"sequence_length={sequence_length}, max_length={max_length}"
            )

        # === Layers ===
        token_embedding = keras.layers.ReversibleEmbedding(
            vocabulary_size,
            hidden_dim,
            embeddings_initializer=TableInitializer(keras.initializers.RandomNormal(stddev=0.02)),
            dtype=dtype,
            name="token_embedding",
        )
        position_embedding = PositionEmbedding(
            max_length,
            embeddings_initializer=keras.initializers.RandomNormal(stddev=0.01),
            dtype=dtype,
            name="position_embedding",
        )
        drop = keras.layers.Dropout(dropout, dtype=dtype, name="embedding_dropout")
        blocks = [
            TransformerBlock(
                num_heads,
                intermediate_dim or 4 * hidden_dim,
                activation=activation,
                dropout=dropout,
                attention_dropout=attention_dropout,
                norm=norm,
                layer_norm_epsilon=layer_norm_epsilon,
                kernel_initializer=keras.initializers.RandomNormal(stddev=0.02),
                # Two matrices of each block write to the residual stream (section 2.3).
                residual_initializer=keras.initializers.RandomNormal(
                    stddev=0.02 * (2 * num_layers) ** -0.5
                ),
                dtype=dtype,
                name=f"block_{i}",
            )
            for i in range(num_layers)
        ]
        final_norm = None
        if norm == "pre":
            final_norm = LayerNorm(layer_norm_epsilon, dtype=dtype, name="final_norm")

        # === Functional graph ===
        inputs = {
            "token_ids": keras.Input((None,), dtype="int32", name="token_ids"),
            "padding_mask": keras.Input((None,), dtype="bool", name="padding_mask"),
        }
        x = token_embedding(inputs["token_ids"])  # (B, L, D)
        x = drop(x + position_embedding(x))
        # Positions by counting: a symbolic tensor's length is not known yet.
        place = ops.cumsum(ops.ones_like(inputs["token_ids"]), axis=1)  # (B, L)
        causal = ops.expand_dims(place, (1, 3)) >= ops.expand_dims(place, (1, 2))  # (B, 1, L, L)
        mask = combine_masks(padding_attention_mask(inputs["padding_mask"]), causal)
        layer_outputs, attention = [x], []
        for block in blocks:
            x = block(x, attention_mask=mask, return_attention=return_attention)
            if return_attention:
                x, probabilities = x
                attention.append(probabilities)
            layer_outputs.append(x)
        if final_norm is not None:
            layer_outputs[-1] = final_norm(x)
        outputs = {
            "sequence_output": layer_outputs[-1],
            "layer_outputs": ops.stack(layer_outputs, axis=1),
        }
        if return_attention:
            outputs["attention"] = ops.stack(attention, axis=1)
        super().__init__(inputs=inputs, outputs=outputs, dtype=dtype, name=name, **kwargs)

        # === Config ===
        self.vocabulary = None if vocabulary is None else list(vocabulary)
        self.merges = None if merges is None else list(merges)
        self.specials = list(specials)
        self.vocabulary_size = vocabulary_size
        self.num_layers = num_layers
        self.num_heads = num_heads
        self.hidden_dim = hidden_dim
        self.intermediate_dim = intermediate_dim or 4 * hidden_dim
        self.max_length = max_length
        self.norm = norm
        self.activation = activation
        self.dropout = dropout
        self.attention_dropout = attention_dropout
        self.layer_norm_epsilon = layer_norm_epsilon
        self.sequence_length = sequence_length
        self.return_attention = return_attention
        self.token_embedding = token_embedding
        self.position_embedding = position_embedding
        self.blocks = blocks
        self.final_norm = final_norm

    @classmethod
    def from_size(cls, size, **overrides):
        """An untrained model: "small", "medium", "large", "xl", "tiny", or "gpt1".

        Raises:
            ValueError: the size has no such name.
        """
        if size not in GPT2_SIZES:
            raise ValueError(f"`size` must be one of {sorted(GPT2_SIZES)}. Received: size={size!r}")
        if overrides.get("vocabulary") is not None:
            overrides.setdefault("vocabulary_size", None)
        return cls(**{**GPT2_SIZES[size], **overrides})

    @classmethod
    def from_checkpoint(cls, directory, allow_pickle=False, **overrides):
        """Loads published weights: a folder as OpenAI or as Hugging Face lays it out.

        Read are `model.ckpt` with `hparams.json`; `params_shapes.json` and its arrays (GPT);
        `model.safetensors` or `pytorch_model.bin` with `config.json`. The vocabulary is read where
        it is there: its two files, or `tokenizer.json`, and special tokens that were added to it.

        Args:
            directory: path.
            allow_pickle: bool. Read `pytorch_model.bin`, a pickle; of tensors only, with torch.
            **overrides: constructor arguments that leave the weights' shapes as they are.

        Raises:
            FileNotFoundError: a file is not there.
            ValueError: a file is not as it should be; or tensors are missing, superfluous or
                misshapen, and then all of them are listed.
        """
        from .checkpoints import load_checkpoint

        return load_checkpoint(cls, directory, allow_pickle, overrides)

    def save_as_huggingface(self, directory):
        """Writes `config.json`, `model.safetensors` and the vocabulary as `transformers` does."""
        from .huggingface import save_as_huggingface

        save_as_huggingface(self, directory)

    def make_preprocessor(self):
        if self.vocabulary is None:
            return None
        from .preprocessor import GPT2Preprocessor

        return GPT2Preprocessor(
            self.vocabulary,
            self.merges,
            specials=self.specials,
            sequence_length=self.sequence_length,
            max_length=self.max_length,
        )

    def init_cache(self, batch_size, length):
        """Room for the keys and values of `length` positions: two (B, H, length, d) a block."""
        shape = (batch_size, self.num_heads, length, self.hidden_dim // self.num_heads)
        # Of the blocks: a functional model's own dtype is not that of its layers.
        dtypes = [block.compute_dtype for block in self.blocks]
        return tuple((ops.zeros(shape, dtype), ops.zeros(shape, dtype)) for dtype in dtypes)

    def step(self, token_ids, cache, index, lengths=None):
        """Reads some tokens more, with what is kept of those before.

        Args:
            token_ids: (B, L) int32.
            cache: as `init_cache` made it or a step returned it.
            index: () or (B,) int32. Position of the first column.
            lengths: (B,) int32 or None. Tokens in each row, the rest being padding; None: L.

        Returns:
            (B, D), `sequence_output` at each row's last token; and the cache.
        """
        x = self.token_embedding(token_ids)  # (B, L, D)
        x = x + self.position_embedding(x, start_index=index)
        batch_size, length = ops.shape(token_ids)
        size = ops.shape(cache[0][0])[2]
        place = CachePlace(index, batch_size, length, size, self.num_heads)
        kept = []
        for block, part in zip(self.blocks, cache, strict=True):
            x, part = block(x, cache=part, cache_index=place)
            kept.append(part)
        if lengths is None:
            x = x[:, -1:]
        else:
            x = ops.take_along_axis(x, lengths[:, None, None] - 1, axis=1)
        if self.final_norm is not None:
            x = self.final_norm(x)
        return x[:, 0], tuple(kept)

    def get_config(self):
        return {
            **super().get_config(),
            "vocabulary": self.vocabulary,
            "merges": self.merges,
            "specials": self.specials,
            "vocabulary_size": self.vocabulary_size,
            "num_layers": self.num_layers,
            "num_heads": self.num_heads,
            "hidden_dim": self.hidden_dim,
            "intermediate_dim": self.intermediate_dim,
            "max_length": self.max_length,
            "norm": self.norm,
            "activation": self.activation,
            "dropout": self.dropout,
            "attention_dropout": self.attention_dropout,
            "layer_norm_epsilon": self.layer_norm_epsilon,
            "sequence_length": self.sequence_length,
            "return_attention": self.return_attention,
        }


def _vocabulary_size(vocabulary, merges, size):
    if (vocabulary is None) != (merges is None):
        raise ValueError(
            "`vocabulary` and `merges` must be given together. Received: "
            f"vocabulary={'None' if vocabulary is None else 'a list'}, "
            f"merges={'None' if merges is None else 'a list'}"
        )
    if size is None:
        size = 50257 if vocabulary is None else len(vocabulary)
    if vocabulary is not None and len(vocabulary) != size:
        raise ValueError(
            "`vocabulary` must have `vocabulary_size` tokens, as many as the weights have rows. "
            f"Received: {len(vocabulary)} tokens, vocabulary_size={size}"
        )
    return size
