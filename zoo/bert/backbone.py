import keras
from keras import ops

from ...layers.token_segment_position_embedding import TokenSegmentPositionEmbedding
from ...layers.transformer_block import TransformerBlock
from ..backbone import Backbone
from .attention_mask import AttentionMask
from .pooler import Pooler
from .sizes import BERT_SIZES


@keras.saving.register_keras_serializable(package="polysemy")
class Bert(Backbone):
    """BERT: a stack of Transformer blocks in which every position sees the whole text.

    Shapes: B batch, L positions, K num_layers, D hidden_dim, H num_heads.

    Inputs (dict), as `BertPreprocessor` makes them:
        token_ids: (B, L) int32. segment_ids: (B, L) int32, below `num_segments`.
        padding_mask: (B, L) bool, True at tokens.

    Outputs (dict); at padding they have values without meaning:
        sequence_output: (B, L, D). The last block's.
        layer_outputs: (B, K + 1, L, D). The embeddings, then each block's output.
        pooled_output: (B, D). See `pooling`.
        attention: (B, K, H, L, L) float32, only with `return_attention`. How much each position
            (the last axis but one) attends to each.

    Args:
        vocabulary: list of str, or None for a model without preprocessor.
        vocabulary_size: int. By default the vocabulary's; rows beyond it are never used.
        num_layers: int. K.
        num_heads: int. H.
        hidden_dim: int. D, divisible by H.
        intermediate_dim: int. Width of the feed-forward networks; by default 4 D.
        max_length: int. Positions; longer inputs are refused.
        num_segments: int.
        activation: "gelu" (exact, in PyTorch's weights) or "gelu_tanh" (in Google's program).
        dropout: float. Of the embeddings and before each residual addition.
        attention_dropout: float. Of the attention's probabilities.
        layer_norm_epsilon: float.
        pooling: "cls" (`tanh(W h + b)` of [CLS]), "mean" (of all tokens, without weights) or None,
            then there is no `pooled_output`.
        lowercase: bool. True for uncased vocabularies.
        sequence_length: int or None. See `BertPreprocessor`.
        return_attention: bool.
        causal: bool. Each position sees only itself and what is before it: the left-to-right model
            that the paper's ablation compares with.
        specials: list of str. Pieces of the vocabulary that are found in text as they stand, beside
            "[MASK]" and its like.

    Example:
    >>> bert = Bert(vocabulary_size=30, num_layers=2, num_heads=2, hidden_dim=8)
    >>> ones = keras.ops.ones((3, 7), "int32")
    >>> inputs = {"token_ids": ones, "segment_ids": 0 * ones, "padding_mask": ones > 0}
    >>> bert(inputs)["layer_outputs"].shape
    TensorShape([3, 3, 7, 8])

    Reference: [Devlin et al., 2018](https://arxiv.org/abs/1810.04805)
    """

    splits_words = True

    def __init__(
        self,
        vocabulary=None,
        vocabulary_size=None,
        num_layers=12,
        num_heads=12,
        hidden_dim=768,
        intermediate_dim=None,
        max_length=512,
        num_segments=2,
        activation="gelu",
        dropout=0.1,
        attention_dropout=0.1,
        layer_norm_epsilon=1e-12,
        pooling="cls",
        lowercase=True,
        sequence_length=None,
        return_attention=False,
        causal=False,
        specials=(),
        dtype=None,
        name="bert",
        **kwargs,
    ):
        vocabulary_size = _checked_size(vocabulary, vocabulary_size)
        intermediate_dim = 4 * hidden_dim if intermediate_dim is None else intermediate_dim
        for argument, number in (
            ("num_layers", num_layers),
            ("num_heads", num_heads),
            ("hidden_dim", hidden_dim),
            ("intermediate_dim", intermediate_dim),
            ("max_length", max_length),
            ("num_segments", num_segments),
        ):
            if number < 1:
                raise ValueError(f"`{argument}` must be at least 1. Received: {argument}={number}")
        if hidden_dim % num_heads:
            raise ValueError(
                "`hidden_dim` must be divisible by `num_heads`. Received: "
                f"hidden_dim={hidden_dim}, num_heads={num_heads}"
            )
        if sequence_length is not None and not 3 <= sequence_length <= max_length:
            raise ValueError(
                "`sequence_length` must be at least 3, for [CLS], a piece and [SEP], and at most "
                f"`max_length`. Received: sequence_length={sequence_length}, "
                f"max_length={max_length}"
            )
        if pooling not in ("cls", "mean", None):
            raise ValueError(f'`pooling` must be "cls", "mean" or None. Received: {pooling!r}')

        # === Layers ===
        embeddings = TokenSegmentPositionEmbedding(
            vocabulary_size,
            hidden_dim,
            max_length,
            num_segments=num_segments,
            dropout=dropout,
            layer_norm_epsilon=layer_norm_epsilon,
            embeddings_initializer=initializer(),
            dtype=dtype,
            name="embeddings",
        )
        blocks = [
            TransformerBlock(
                num_heads,
                intermediate_dim,
                activation=activation,
                dropout=dropout,
                attention_dropout=attention_dropout,
                norm="post",
                layer_norm_epsilon=layer_norm_epsilon,
                kernel_initializer=initializer(),
                dtype=dtype,
                name=f"block_{i}",
            )
            for i in range(num_layers)
        ]
        pooler = None
        if pooling is not None:
            pooler = Pooler(pooling, kernel_initializer=initializer(), dtype=dtype, name="pooler")

        # === Functional graph ===
        inputs = {
            name: keras.Input((None,), dtype=kind, name=name)
            for name, kind in (
                ("token_ids", "int32"),
                ("segment_ids", "int32"),
                ("padding_mask", "bool"),
            )
        }
        mask = inputs["padding_mask"]
        attention_mask = AttentionMask(causal, name="attention_mask")(mask)
        x = embeddings(inputs["token_ids"], inputs["segment_ids"])
        layers, attention = [x], []
        for block in blocks:
            x = block(x, attention_mask=attention_mask, return_attention=return_attention)
            if return_attention:
                x, probabilities = x
                attention.append(probabilities)
            layers.append(x)
        outputs = {"sequence_output": x, "layer_outputs": ops.stack(layers, axis=1)}
        if pooler is not None:
            outputs["pooled_output"] = pooler(x, padding_mask=mask)
        if return_attention:
            outputs["attention"] = ops.stack(attention, axis=1)
        super().__init__(inputs=inputs, outputs=outputs, dtype=dtype, name=name, **kwargs)

        # === Config ===
        self.vocabulary = None if vocabulary is None else list(vocabulary)
        self.vocabulary_size = vocabulary_size
        self.num_layers = num_layers
        self.num_heads = num_heads
        self.hidden_dim = hidden_dim
        self.intermediate_dim = intermediate_dim
        self.max_length = max_length
        self.num_segments = num_segments
        self.activation = activation
        self.dropout = dropout
        self.attention_dropout = attention_dropout
        self.layer_norm_epsilon = layer_norm_epsilon
        self.pooling = pooling
        self.lowercase = lowercase
        self.specials = list(specials)
        self.sequence_length = sequence_length
        self.return_attention = return_attention
        self.causal = causal
        self.embeddings = embeddings
        self.blocks = blocks
        self.pooler = pooler

    @classmethod
    def from_size(cls, size, vocabulary=None, **overrides):
        """An untrained model of a published size: "tiny", "mini", "small", "medium", "base" or
        "large".

        Without a vocabulary it has 30,522 token vectors, as many as the uncased vocabulary.

        Raises:
            ValueError: the size has no such name.
        """
        if size not in BERT_SIZES:
            raise ValueError(f"`size` must be one of {list(BERT_SIZES)}. Received: size={size!r}")
        if vocabulary is None:
            overrides.setdefault("vocabulary_size", 30_522)
        return cls(vocabulary=vocabulary, **{**BERT_SIZES[size], **overrides})

    @classmethod
    def from_checkpoint(cls, path, allow_pickle=False, **overrides):
        """Loads published weights, with their vocabulary if it is there.

        Args:
            path: a folder of Hugging Face's (`config.json`, `model.safetensors`, `vocab.txt`); one
                of Google's (`bert_config.json`, `bert_model.ckpt.*`, `vocab.txt`); one of
                TensorFlow Model Garden's, with the same files in its own format; or the prefix of
                a TensorFlow checkpoint in such a folder.
            allow_pickle: bool. Read `pytorch_model.bin` if there is no safetensors file. Only
                tensors are taken out of it, nothing is executed; PyTorch must be installed.
            **overrides: constructor arguments (dropout, pooling, sequence length …).

        Raises:
            FileNotFoundError: a file is not there.
            ValueError: the config is not one of BERT's; the vocabulary has more pieces than there
                are vectors; or a tensor is missing, superfluous or misshapen, and then all are
                listed.
        """
        from .checkpoints import load_checkpoint

        return load_checkpoint(cls, path, allow_pickle, overrides)

    def unused_weights(self, output):
        """The weights that one of the outputs does not depend on."""
        return [] if self.pooler is None or output == "pooled_output" else self.pooler.weights

    def leaves_out(self, path):
        """Whether a preset's weight of this path is of a pooler that this model does not have."""
        return self.pooling != "cls" and path.startswith("pooler/")

    def save_as_huggingface(self, directory):
        """Writes a folder that `transformers.BertModel.from_pretrained` reads.

        A pooling of "mean" has no weights and is not written: theirs is then to be left alone.

        Raises:
            FileExistsError: the folder is there and not empty.
            ValueError: `transformers` has no such encoder: with `causal`, or an activation of ours.
        """
        from .huggingface import save

        save(self, directory)

    def make_preprocessor(self):
        if self.vocabulary is None:
            return None
        from .preprocessor import BertPreprocessor

        return BertPreprocessor(
            self.vocabulary,
            self.lowercase,
            self.max_length,
            self.sequence_length,
            self.specials,
        )

    def get_config(self):
        names = (
            *("vocabulary", "vocabulary_size", "num_layers", "num_heads", "hidden_dim"),
            *("intermediate_dim", "max_length", "num_segments", "activation", "dropout"),
            *("attention_dropout", "layer_norm_epsilon", "pooling", "lowercase", "specials"),
            *("sequence_length", "return_attention", "causal"),
        )
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}


def initializer():
    """BERT's: a normal distribution of deviation 0.02, cut at twice that."""
    return keras.initializers.TruncatedNormal(stddev=0.02)


def _checked_size(vocabulary, vocabulary_size):
    if vocabulary is None and vocabulary_size is None:
        raise ValueError("`vocabulary` or `vocabulary_size` must be given. Received: neither")
    if vocabulary is None:
        return vocabulary_size
    size = len(vocabulary) if vocabulary_size is None else vocabulary_size
    if size < len(vocabulary):
        raise ValueError(
            "`vocabulary_size` must be at least the number of pieces in `vocabulary`. Received: "
            f"vocabulary_size={vocabulary_size}, {len(vocabulary)} pieces"
        )
    return size
