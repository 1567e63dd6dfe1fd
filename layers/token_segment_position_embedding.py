import keras
from keras import ops

from .initializers import clone_initializer, first_values
from .layer_norm import LayerNorm
from .position_embedding import PositionEmbedding
from .table_initializer import TableInitializer


@keras.saving.register_keras_serializable(package="polysemy")
class TokenSegmentPositionEmbedding(keras.layers.Layer):
    """What enters BERT or GPT-2: the sum of a token's, a segment's and a position's vector.

    A layer norm and dropout follow, as far as they are asked for.

    Shapes: B batch, L positions, V vocabulary_size, D hidden_dim.

    Weights: `token_embeddings` (V, D), `segment_embeddings` (num_segments, D),
    `position_embedding/embeddings` (max_length, D), `layer_norm/gamma` and `/beta` (D,).

    Args:
        vocabulary_size: int. V.
        hidden_dim: int. D.
        max_length: int. Positions that there are vectors for.
        num_segments: int. 0 for no segments, as in GPT-2.
        dropout: float.
        layer_norm_epsilon: float, or None for no norm, as in GPT-2.
        embeddings_initializer: Keras initializer.
        position_initializer: Keras initializer of the positions; by default as the others.
        seed: int or None. Of the dropout.

    Call arguments:
        token_ids: (B, L) int.
        segment_ids: (B, L) int; None is segment 0.
        start_index: int, scalar or (B,) int tensor. Position of the first token, of all rows or of
            each; for decoding with a cache.
        training: bool.

    Returns:
        (B, L, D) in the compute dtype.

    Raises:
        ValueError: more positions than `max_length`, see `PositionEmbedding`.

    Example:
    >>> embed = TokenSegmentPositionEmbedding(10, 8, max_length=4)
    >>> embed(keras.ops.array([[1, 2, 3]]), keras.ops.array([[0, 0, 1]])).shape
    TensorShape([1, 3, 8])

    Reference: [Devlin et al., 2018](https://arxiv.org/abs/1810.04805), section 3, figure 2.
    """

    def __init__(
        self,
        vocabulary_size,
        hidden_dim,
        max_length,
        num_segments=2,
        dropout=0.0,
        layer_norm_epsilon=1e-12,
        embeddings_initializer="glorot_uniform",
        position_initializer=None,
        seed=None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        for name, number, least in (
            ("vocabulary_size", vocabulary_size, 1),
            ("hidden_dim", hidden_dim, 1),
            ("num_segments", num_segments, 0),
        ):
            if number < least:
                raise ValueError(f"`{name}` must be at least {least}. Received: {name}={number}")
        if not 0 <= dropout < 1:
            raise ValueError(f"`dropout` must be in [0, 1). Received: dropout={dropout}")
        self.vocabulary_size = vocabulary_size
        self.hidden_dim = hidden_dim
        self.max_length = max_length
        self.num_segments = num_segments
        self.dropout = dropout
        self.layer_norm_epsilon = layer_norm_epsilon
        self.embeddings_initializer = keras.initializers.get(embeddings_initializer)
        self.position_initializer = keras.initializers.get(position_initializer)
        self.seed = seed
        self.position_embedding = PositionEmbedding(
            max_length,
            clone_initializer(self.position_initializer or self.embeddings_initializer),
            name="position_embedding",
            dtype=self.dtype_policy,
        )
        self.layer_norm = None
        if layer_norm_epsilon is not None:
            self.layer_norm = LayerNorm(
                layer_norm_epsilon, name="layer_norm", dtype=self.dtype_policy
            )
        self.dropout_layer = keras.layers.Dropout(dropout, seed=seed, dtype=self.dtype_policy)

    def build(self, token_ids_shape=None):
        if self.built:  # a head that is tied to these embeddings may come first
            return
        # Without autocast, which would cast the whole table where a few rows are looked up.
        self.token_embeddings = self.add_weight(
            name="token_embeddings",
            shape=(self.vocabulary_size, self.hidden_dim),
            initializer=TableInitializer(clone_initializer(self.embeddings_initializer)),
            autocast=False,
        )
        self.segment_embeddings = None
        if self.num_segments:
            self.segment_embeddings = self.add_weight(
                name="segment_embeddings",
                shape=(self.num_segments, self.hidden_dim),
                initializer=first_values(self.embeddings_initializer),
                autocast=False,
            )
        shape = (None, None, self.hidden_dim)
        self.position_embedding.build(shape)
        if self.layer_norm is not None:
            self.layer_norm.build(shape)
        self.built = True

    def call(self, token_ids, segment_ids=None, start_index=0, training=None):
        if segment_ids is not None and not self.num_segments:
            raise ValueError(
                "`segment_ids` must be None if `num_segments` is 0. Received: segment_ids of shape "
                f"{tuple(segment_ids.shape)}"
            )
        x = ops.cast(ops.take(self.token_embeddings, token_ids, axis=0), self.compute_dtype)
        if self.segment_embeddings is not None:
            table = ops.cast(self.segment_embeddings, self.compute_dtype)
            x = x + (table[0] if segment_ids is None else ops.take(table, segment_ids, axis=0))
        x = x + self.position_embedding(x, start_index=start_index)
        if self.layer_norm is not None:
            x = self.layer_norm(x)
        return self.dropout_layer(x, training=training)

    def compute_output_spec(self, token_ids, segment_ids=None, start_index=0, training=None):
        length = token_ids.shape[1]
        if isinstance(start_index, int) and length is not None:
            if start_index + length > self.max_length:
                raise ValueError(
                    "The positions must fit `max_length`. Received: "
                    f"start_index={start_index}, length={length}, max_length={self.max_length}"
                )
        return keras.KerasTensor((*token_ids.shape, self.hidden_dim), self.compute_dtype)

    def get_config(self):
        return {
            **super().get_config(),
            "vocabulary_size": self.vocabulary_size,
            "hidden_dim": self.hidden_dim,
            "max_length": self.max_length,
            "num_segments": self.num_segments,
            "dropout": self.dropout,
            "layer_norm_epsilon": self.layer_norm_epsilon,
            "embeddings_initializer": keras.initializers.serialize(self.embeddings_initializer),
            "position_initializer": self.position_initializer
            and keras.initializers.serialize(self.position_initializer),
            "seed": self.seed,
        }
