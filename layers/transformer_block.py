import keras

from .feed_forward import FeedForward
from .layer_norm import LayerNorm
from .masks import padding_attention_mask
from .multi_head_attention import MultiHeadAttention


@keras.saving.register_keras_serializable(package="polysemy")
class TransformerBlock(keras.layers.Layer):
    """Self-attention and a feed-forward network, each with a residual connection and a norm.

    Post-norm, as in the paper and in BERT: `x = norm(x + dropout(f(x)))`. Pre-norm, as in GPT-2:
    `x = x + dropout(f(norm(x)))`; the last block's output wants a norm of its own. A block with
    `cross_attention` reads an encoder's output between the two.

    Shapes: B batch, L positions, Le positions of the encoder, D features, De of the encoder, H
    num_heads, d head_dim, M positions of a cache.

    Sublayers: `self_attention`, `cross_attention`, `feed_forward`, and the norm of each, whose name
    ends in `_norm`.

    Args:
        num_heads: int. H.
        intermediate_dim: int. Width of the feed-forward network.
        activation: str. See `FeedForward`.
        dropout: float. Before each residual addition, in training.
        attention_dropout: float. Of the attention's probabilities, in training.
        norm: "post" or "pre".
        layer_norm_epsilon: float. 1e-12 in BERT, 1e-5 in GPT-2. The norm computes in float32.
        cross_attention: bool.
        kernel_initializer: Keras initializer; BERT's is `TruncatedNormal(stddev=0.02)`.
        residual_initializer: Keras initializer of the last matrix of each sublayer, which writes to
            the residual stream; by default as the others. GPT-2's paper divides its deviation by
            the square root of the number of such matrices.
        head_dim: int or None. d; by default D / H.
        use_bias: bool. Of the attention.
        seed: int or None. Of the dropout.

    Call arguments:
        x: (B, L, D) float.
        attention_mask: bool, broadcasting to (B, H, L, Lk); True where a position may attend. None
            hides nothing: a decoder gets its causal mask here, too. What Keras's masks of x and
            `encoded` leave out is hidden as well.
        encoded: (B, Le, De) float. The encoder's output, with `cross_attention`.
        encoded_mask: bool, broadcasting to (B, H, L, Le), or (B, Le), as Keras hands on its mask
            of `encoded`.
        cache: pair of (B, H, M, d) float. Of self-attention, see `MultiHeadAttention`.
        cache_index: int, scalar or (B,) int tensor, or `CachePlace`. Where in the cache x begins.
        cross_cache: pair of (B, H, Le, d) float. `block.cross_attention.key_value_cache(encoded)`,
            computed once for many steps, instead of `encoded`.
        training: bool.
        return_attention: bool.

    Returns:
        (B, L, D) in the compute dtype; as asked followed, in this order, by the updated cache, the
        probabilities of self-attention (B, H, L, Lk) and those of cross-attention (B, H, L, Le),
        float32.

    Example:
    >>> block = TransformerBlock(num_heads=2, intermediate_dim=16, norm="pre")
    >>> block(keras.ops.ones((3, 5, 8))).shape
    TensorShape([3, 5, 8])

    Reference: [Vaswani et al., 2017](https://arxiv.org/abs/1706.03762), section 3.1; pre-norm of
    [Radford et al., 2019](https://openai.com/research/better-language-models), section 2.3.
    """

    def __init__(
        self,
        num_heads,
        intermediate_dim,
        activation="gelu",
        dropout=0.0,
        attention_dropout=0.0,
        norm="post",
        layer_norm_epsilon=1e-12,
        cross_attention=False,
        kernel_initializer="glorot_uniform",
        residual_initializer=None,
        head_dim=None,
        use_bias=True,
        seed=None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.supports_masking = True
        if norm not in ("post", "pre"):
            raise ValueError(f'`norm` must be "post" or "pre". Received: norm={norm!r}')
        if not 0 <= dropout < 1:
            raise ValueError(f"`dropout` must be in [0, 1). Received: dropout={dropout}")
        self.num_heads = num_heads
        self.intermediate_dim = intermediate_dim
        self.activation = activation
        self.dropout = dropout
        self.attention_dropout = attention_dropout
        self.norm = norm
        self.layer_norm_epsilon = layer_norm_epsilon
        self.has_cross_attention = cross_attention
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.residual_initializer = keras.initializers.get(residual_initializer)
        self.head_dim = head_dim
        self.use_bias = use_bias
        self.seed = seed

        initializers = {
            "kernel_initializer": self.kernel_initializer,
            "output_initializer": self.residual_initializer,
            "seed": seed,
            "dtype": self.dtype_policy,
        }

        def attention(name):
            return MultiHeadAttention(
                num_heads, head_dim, use_bias, attention_dropout, name=name, **initializers
            )

        def layer_norm(name):
            return LayerNorm(layer_norm_epsilon, name=name, dtype=self.dtype_policy)

        self.self_attention = attention("self_attention")
        self.self_attention_norm = layer_norm("self_attention_norm")
        self.cross_attention = self.cross_attention_norm = None
        if cross_attention:
            self.cross_attention = attention("cross_attention")
            self.cross_attention_norm = layer_norm("cross_attention_norm")
        self.feed_forward = FeedForward(
            intermediate_dim, activation, name="feed_forward", **initializers
        )
        self.feed_forward_norm = layer_norm("feed_forward_norm")
        self.dropout_layer = keras.layers.Dropout(dropout, seed=seed, dtype=self.dtype_policy)

    def build(self, x_shape, encoded_shape=None):
        self.self_attention.build(x_shape)
        self.self_attention_norm.build(x_shape)
        if self.cross_attention is not None and self.cross_attention_norm is not None:
            if encoded_shape is None:
                raise ValueError(
                    "`encoded` must be given to the first call of a block with cross-attention. "
                    "Received: encoded=None"
                )
            self.cross_attention.build(x_shape, encoded_shape)
            self.cross_attention_norm.build(x_shape)
        self.feed_forward.build(x_shape)
        self.feed_forward_norm.build(x_shape)

    def call(
        self,
        x,
        attention_mask=None,
        encoded=None,
        encoded_mask=None,
        cache=None,
        cache_index=None,
        cross_cache=None,
        training=None,
        return_attention=False,
    ):
        self._check(encoded, cross_cache)
        if encoded_mask is not None and len(encoded_mask.shape) == 2:
            encoded_mask = padding_attention_mask(encoded_mask)
        extra = []

        def attend(layer, **arguments):
            """A sublayer that keeps apart what an attention returns beside its output."""

            def run(x, residual):
                found = layer(
                    x,
                    residual=residual,
                    training=training,
                    return_attention=return_attention,
                    **arguments,
                )
                if not isinstance(found, tuple):
                    return found
                extra.extend(found[1:])
                return found[0]

            return run

        x = self._residual(
            x,
            attend(
                self.self_attention,
                attention_mask=attention_mask,
                cache=cache,
                cache_index=cache_index,
            ),
            self.self_attention_norm,
            training,
        )
        if self.cross_attention is not None:
            count = len(extra)
            x = self._residual(
                x,
                attend(
                    self.cross_attention,
                    value=None if cross_cache is not None else encoded,
                    attention_mask=encoded_mask,
                    cache=cross_cache,
                ),
                self.cross_attention_norm,
                training,
            )
            if cross_cache is not None:
                del extra[count]  # the caller has it already
        x = self._residual(
            x,
            lambda x, residual: self.feed_forward(x, residual=residual, training=training),
            self.feed_forward_norm,
            training,
        )
        return (x, *extra) if extra else x

    def _residual(self, x, sublayer, norm, training):
        """Adds to x what the sublayer, a function of its input and of what to add, makes of it."""
        inputs = norm(x) if self.norm == "pre" else x
        if training and self.dropout:
            x = x + self.dropout_layer(sublayer(inputs, None), training=True)
        else:
            x = sublayer(inputs, x)
        return x if self.norm == "pre" else norm(x)

    def _check(self, encoded, cross_cache):
        given = encoded is not None or cross_cache is not None
        if given != self.has_cross_attention:
            raise ValueError(
                "`encoded` or `cross_cache` must be given if and only if `cross_attention` is "
                f"True. Received: cross_attention={self.has_cross_attention}, encoded={encoded}, "
                f"cross_cache={cross_cache}"
            )

    def compute_output_spec(
        self,
        x,
        attention_mask=None,
        encoded=None,
        encoded_mask=None,
        cache=None,
        cache_index=None,
        cross_cache=None,
        training=None,
        return_attention=False,
    ):
        self._check(encoded, cross_cache)
        outputs = [keras.KerasTensor(x.shape, self.compute_dtype)]
        batch_size, length = x.shape[:2]
        if cache is not None:
            outputs.append(tuple(keras.KerasTensor(x.shape, self.compute_dtype) for x in cache))
        if return_attention:
            keys = [length if cache is None else cache[0].shape[2]]
            if cross_cache is not None:
                keys.append(cross_cache[0].shape[2])
            elif encoded is not None:
                keys.append(encoded.shape[1])
            for number in keys:
                shape = (batch_size, self.num_heads, length, number)
                outputs.append(keras.KerasTensor(shape, "float32"))
        return outputs[0] if len(outputs) == 1 else tuple(outputs)

    def compute_output_shape(self, x_shape, encoded_shape=None):
        return x_shape

    def get_config(self):
        return {
            **super().get_config(),
            "num_heads": self.num_heads,
            "intermediate_dim": self.intermediate_dim,
            "activation": self.activation,
            "dropout": self.dropout,
            "attention_dropout": self.attention_dropout,
            "norm": self.norm,
            "layer_norm_epsilon": self.layer_norm_epsilon,
            "cross_attention": self.has_cross_attention,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
            "residual_initializer": self.residual_initializer
            and keras.initializers.serialize(self.residual_initializer),
            "head_dim": self.head_dim,
            "use_bias": self.use_bias,
            "seed": self.seed,
        }
