import keras
from keras import backend, ops

from .affine import affine, as_rows, leading_shape, like_rows_of
from .cache_place import CachePlace
from .initializers import first_values
from .masks import combine_masks, keras_mask, padding_attention_mask


@keras.saving.register_keras_serializable(package="polysemy")
class MultiHeadAttention(keras.layers.Layer):
    """Lets each position gather from others what it needs, in several ways at once.

    Head h computes `softmax(Q_h K_h^T / sqrt(d)) V_h`, where `Q_h = x W_h^Q`, `K_h = y W_h^K` and
    `V_h = y W_h^V`; the heads' results stand side by side and are projected once more. In
    self-attention y is x and the three projections are one product. Scores are softmaxed in
    float32.

    Built without `value` the layer does self-attention, built with it cross-attention.

    Shapes: B batch, Lq queries, Lk keys, D features of the query, Dv of the value, H num_heads,
    d head_dim, M positions of a cache.

    Weights: `qkv_kernel` (D, 3 H d), the columns Q, K, V, each head by head, and `qkv_bias`; in
    cross-attention `query_kernel` (D, H d), `key_value_kernel` (Dv, 2 H d) and their biases;
    `output_kernel` (H d, D) and `output_bias`.

    Args:
        num_heads: int. H.
        head_dim: int or None. d; by default D / H.
        use_bias: bool. The paper has no biases; BERT and GPT-2 have.
        dropout: float. Of the attention's probabilities, in training.
        kernel_initializer: Keras initializer.
        output_initializer: Keras initializer of `output_kernel`; by default as the others.
        seed: int or None. Of the dropout.

    Call arguments:
        query: (B, Lq, D) float.
        value: (B, Lk, Dv) float. What cross-attention reads; None is self-attention.
        attention_mask: bool, broadcasting to (B, H, Lq, Lk), or (B, Lq, Lk); True where a query may
            attend. See `masks`. A query that may attend to nothing gets the mean of all values.
            Keys that Keras's mask of `value`, or else of `query`, leaves out are hidden as well.
        cache: pair of (B, H, M, d) float. Keys and values of earlier positions; then Lk is M. In
            cross-attention what `key_value_cache` returned, instead of `value`.
        cache_index: int, scalar or (B,) int tensor. Where in the cache the first query belongs, of
            all rows or of each row; needed with `cache` in self-attention. The queries' keys and
            values are written there; they see positions up to their own. A `CachePlace` says the
            same, and is worked out once for many layers.
        residual: (B, Lq, D) float. Added to the output, for less than an addition costs.
        training: bool.
        return_attention: bool.

    Returns:
        (B, Lq, D) in the compute dtype; as asked followed, in this order, by the updated cache and
        by the probabilities (B, H, Lq, Lk) float32, as they are before dropout.

    Example:
    >>> attention = MultiHeadAttention(num_heads=2)
    >>> output, probabilities = attention(keras.ops.ones((3, 5, 8)), return_attention=True)
    >>> output.shape, probabilities.shape
    (TensorShape([3, 5, 8]), TensorShape([3, 2, 5, 5]))

    Reference: [Vaswani et al., 2017](https://arxiv.org/abs/1706.03762), section 3.2.
    """

    def __init__(
        self,
        num_heads,
        head_dim=None,
        use_bias=True,
        dropout=0.0,
        kernel_initializer="glorot_uniform",
        output_initializer=None,
        seed=None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.supports_masking = True
        for name, number in (("num_heads", num_heads), ("head_dim", head_dim)):
            if number is not None and number < 1:
                raise ValueError(f"`{name}` must be at least 1. Received: {name}={number}")
        if not 0 <= dropout < 1:
            raise ValueError(f"`dropout` must be in [0, 1). Received: dropout={dropout}")
        self.num_heads = num_heads
        self.head_dim = head_dim
        self.use_bias = use_bias
        self.dropout = dropout
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.output_initializer = keras.initializers.get(output_initializer)
        self.seed = seed
        self.dropout_layer = keras.layers.Dropout(dropout, seed=seed, dtype=self.dtype_policy)
        self.is_cross_attention = None  # known when built

    def build(self, query_shape, value_shape=None):
        dim = query_shape[-1]
        if self.head_dim is None and dim % self.num_heads:
            raise ValueError(
                "The features of `query` must be divisible by `num_heads` unless `head_dim` is "
                f"given. Received: query.shape={tuple(query_shape)}, num_heads={self.num_heads}"
            )
        self._head_dim = self.head_dim or dim // self.num_heads
        inner = self.num_heads * self._head_dim
        self.is_cross_attention = value_shape is not None
        if value_shape is None:
            self._add_affine("qkv", dim, 3 * inner, self.kernel_initializer)
        else:
            self._add_affine("query", dim, inner, self.kernel_initializer)
            self._add_affine("key_value", value_shape[-1], 2 * inner, self.kernel_initializer)
        self._add_affine("output", inner, dim, self.output_initializer or self.kernel_initializer)

    def _add_affine(self, name, inputs, outputs, initializer):
        kernel = self.add_weight(
            name=f"{name}_kernel",
            shape=(inputs, outputs),
            initializer=first_values(initializer),
        )
        bias = None
        if self.use_bias:
            bias = self.add_weight(name=f"{name}_bias", shape=(outputs,), initializer="zeros")
        setattr(self, f"{name}_kernel", kernel)
        setattr(self, f"{name}_bias", bias)

    def key_value_cache(self, value):
        """Keys and values of what cross-attention reads, once for all steps of a decoding.

        Args:
            value: (B, Lk, Dv) float.

        Returns:
            Two of (B, H, Lk, d) in the compute dtype, for `cache`.
        """
        if not self.is_cross_attention:
            raise ValueError(
                "`key_value_cache` needs a layer that was built for cross-attention, with `value`. "
                f"Received: is_cross_attention={self.is_cross_attention}"
            )
        kernel, bias = self._in_compute_dtype(self.key_value_kernel, self.key_value_bias)
        value = ops.cast(value, self.compute_dtype)
        return tuple(_heads_first(self._project(value, kernel, bias, 2)))

    def _in_compute_dtype(self, *weights):
        return [None if w is None else ops.cast(w, self.compute_dtype) for w in weights]

    def _project(self, x, kernel, bias, parts):
        """(B, L, D) -> (B, L, parts, H, d)."""
        y = affine(as_rows(x), kernel, bias)
        return ops.reshape(y, (*leading_shape(x, 2), parts, self.num_heads, self._head_dim))

    def call(
        self,
        query,
        value=None,
        attention_mask=None,
        cache=None,
        cache_index=None,
        residual=None,
        training=None,
        return_attention=False,
    ):
        self._check(query, value, attention_mask, cache, cache_index)
        attention_mask = _with_heads(attention_mask)
        present = keras_mask(query if value is None else value)
        if present is not None and cache is None:
            attention_mask = combine_masks(attention_mask, padding_attention_mask(present))
        if self.is_cross_attention:
            q = self._project(query, self.query_kernel, self.query_bias, 1)  # (B, Lq, 1, H, d)
            (q,) = _heads_first(q)  # (B, H, Lq, d)
            k, v = self.key_value_cache(value) if cache is None else cache  # (B, H, Lk, d) each
        else:
            qkv = self._project(query, self.qkv_kernel, self.qkv_bias, 3)  # (B, Lq, 3, H, d)
            q, k, v = _heads_first(qkv)  # (B, H, Lq, d) each
            if cache is not None:
                place = cache_index
                if not isinstance(place, CachePlace):
                    batch_size, length, _ = ops.shape(query)
                    size = ops.shape(cache[0])[2]
                    place = CachePlace(place, batch_size, length, size, self.num_heads)
                k, v = cache = (place.write(cache[0], k), place.write(cache[1], v))
                attention_mask = combine_masks(attention_mask, place.visible)
        k, v = (ops.cast(part, self.compute_dtype) for part in (k, v))
        probabilities = self._probabilities(q, k, attention_mask)
        weights = self.dropout_layer(ops.cast(probabilities, v.dtype), training=training)
        x = ops.transpose(ops.matmul(weights, v), (0, 2, 1, 3))  # (B, Lq, H, d)
        x = ops.reshape(x, (-1, self.num_heads * self._head_dim))
        x = affine(x, self.output_kernel, self.output_bias, residual=residual)
        outputs = [like_rows_of(x, query)]
        if cache is not None:
            outputs.append(cache)
        if return_attention:
            outputs.append(probabilities)
        return outputs[0] if len(outputs) == 1 else tuple(outputs)

    def _probabilities(self, q, k, attention_mask):
        """(B, H, Lq, d), (B, H, Lk, d), mask -> (B, H, Lq, Lk) float32."""
        # A product, a constant factor and a sum: TensorFlow makes one operation of them.
        scores = ops.matmul(q, ops.transpose(k, (0, 1, 3, 2))) * self._head_dim**-0.5
        if attention_mask is not None:
            # Finite: a row of nothing but -inf would be NaN.
            hidden = -3e4 if backend.standardize_dtype(scores.dtype) == "float16" else -1e9
            scores = scores + ops.cast(ops.where(attention_mask, 0.0, hidden), scores.dtype)
        scores = ops.cast(scores, "float32")
        # Keras warns of the softmax of a single number.
        return ops.ones_like(scores) if scores.shape[-1] == 1 else ops.softmax(scores, axis=-1)

    def _check(self, query, value, attention_mask, cache, cache_index):
        if self.is_cross_attention:
            if (value is None) == (cache is None):
                raise ValueError(
                    "Cross-attention must be given `value` or else `cache`. Received: "
                    f"value={value}, cache={cache}"
                )
            if cache_index is not None:
                raise ValueError(
                    "`cache_index` must be None in cross-attention, whose cache is complete. "
                    f"Received: cache_index={cache_index}"
                )
        else:
            if value is not None:
                raise ValueError(
                    "`value` must be None in a layer that was built for self-attention. Received: "
                    f"value of shape {tuple(value.shape)}"
                )
            if (cache is None) != (cache_index is None):
                raise ValueError(
                    "`cache` and `cache_index` must be given together. Received: "
                    f"cache={cache}, cache_index={cache_index}"
                )
        if cache is not None:
            self._check_cache(query, cache, cache_index)
        if attention_mask is not None and len(attention_mask.shape) not in (3, 4):
            raise ValueError(
                "`attention_mask` must be of shape (B, Lq, Lk) or (B, H, Lq, Lk). Received: "
                f"attention_mask.shape={tuple(attention_mask.shape)}"
            )

    def _check_cache(self, query, cache, cache_index):
        expected = (None, self.num_heads, None, self._head_dim)
        shapes = [tuple(part.shape) for part in cache]
        if len(shapes) != 2 or any(
            len(shape) != 4
            or any(None not in (a, b) and a != b for a, b in zip(expected, shape, strict=True))
            for shape in shapes
        ):
            raise ValueError(
                f"`cache` must be two tensors of shape (B, {self.num_heads}, M, {self._head_dim}). "
                f"Received: shapes {shapes}"
            )
        length, size = query.shape[1], shapes[0][2]
        if isinstance(cache_index, int) and None not in (length, size):
            if not 0 <= cache_index <= size - length:
                raise ValueError(
                    "`cache_index` and the queries behind it must fit the cache. Received: "
                    f"cache_index={cache_index}, query.shape={tuple(query.shape)}, "
                    f"a cache of {size} positions"
                )

    def compute_output_spec(
        self,
        query,
        value=None,
        attention_mask=None,
        cache=None,
        cache_index=None,
        residual=None,
        training=None,
        return_attention=False,
    ):
        self._check(query, value, attention_mask, cache, cache_index)
        outputs = [keras.KerasTensor(query.shape, self.compute_dtype)]
        if cache is not None:
            outputs.append(tuple(keras.KerasTensor(x.shape, self.compute_dtype) for x in cache))
        if return_attention:
            keys = (
                cache[0].shape[2]
                if cache is not None
                else (query if value is None else value).shape[1]
            )
            shape = (query.shape[0], self.num_heads, query.shape[1], keys)
            outputs.append(keras.KerasTensor(shape, "float32"))
        return outputs[0] if len(outputs) == 1 else tuple(outputs)

    def compute_output_shape(self, query_shape, value_shape=None):
        return query_shape

    def get_config(self):
        return {
            **super().get_config(),
            "num_heads": self.num_heads,
            "head_dim": self.head_dim,
            "use_bias": self.use_bias,
            "dropout": self.dropout,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
            "output_initializer": self.output_initializer
            and keras.initializers.serialize(self.output_initializer),
            "seed": self.seed,
        }


def _heads_first(x):
    """(B, L, parts, H, d) -> as many (B, H, L, d) as there are parts."""
    return ops.unstack(ops.transpose(x, (2, 0, 3, 1, 4)))


def _with_heads(attention_mask):
    """A mask that broadcasts to (B, H, Lq, Lk), bool."""
    if attention_mask is None:
        return None
    mask = ops.cast(attention_mask, "bool")
    return mask[:, None] if len(mask.shape) == 3 else mask
