import keras
from keras import ops


@keras.saving.register_keras_serializable(package="polysemy")
class PositionEmbedding(keras.layers.Layer):
    """A learned vector for each position.

    Shapes: B batch, L positions, D features.

    Weights: `embeddings` (max_length, D).

    Args:
        max_length: int. Positions that there are vectors for.
        embeddings_initializer: Keras initializer.

    Call arguments:
        x: (B, L, D). Only its shape counts.
        start_index: int, scalar or (B,) int tensor. Position of the first column of `x`, of all
            rows or of each.

    Returns:
        (L, D), or (B, L, D) if `start_index` has an axis; in the compute dtype. To be added to `x`.

    Raises:
        ValueError: x reaches beyond `max_length`, as far as that is known when the graph is traced.
            Later, in a graph, the program ends with an error of the backend; exported models
            assert the rule by name.

    Example:
    >>> x = keras.ops.ones((2, 3, 8))
    >>> (x + PositionEmbedding(max_length=4)(x)).shape
    TensorShape([2, 3, 8])

    Reference: [Devlin et al., 2018](https://arxiv.org/abs/1810.04805), section 3.
    """

    def __init__(self, max_length, embeddings_initializer="glorot_uniform", **kwargs):
        super().__init__(**kwargs)
        if max_length < 1:
            raise ValueError(f"`max_length` must be at least 1. Received: max_length={max_length}")
        self.max_length = max_length
        self.embeddings_initializer = keras.initializers.get(embeddings_initializer)

    def build(self, x_shape):
        self.embeddings = self.add_weight(
            name="embeddings",
            shape=(self.max_length, x_shape[-1]),
            initializer=self.embeddings_initializer,
            autocast=False,
        )

    def call(self, x, start_index=0):
        return self.positions(ops.shape(x)[1], start_index)

    def positions(self, length, start_index=0):
        """The vectors of `length` positions from `start_index` on; see the class."""
        known = isinstance(start_index, int)
        first = start_index if known else 0
        if isinstance(length, int) and not 0 <= first <= self.max_length - length:
            raise ValueError(
                "The positions must fit `max_length`. Received: "
                f"start_index={start_index if known else 'a tensor'}, length={length}, "
                f"max_length={self.max_length}"
            )
        if isinstance(start_index, int) and start_index == 0:
            return ops.cast(self.embeddings[:length], self.compute_dtype)
        start = ops.cast(ops.convert_to_tensor(start_index), "int32")
        position = ops.expand_dims(start, -1) + ops.arange(length, dtype="int32")  # (L,) or (B, L)
        return ops.cast(ops.take(self.embeddings, position, axis=0), self.compute_dtype)

    def compute_output_spec(self, x, start_index=0):
        per_row = len(getattr(start_index, "shape", ())) == 1
        shape = x.shape if per_row else x.shape[1:]
        return keras.KerasTensor(shape, self.compute_dtype)

    def get_config(self):
        return {
            **super().get_config(),
            "max_length": self.max_length,
            "embeddings_initializer": keras.initializers.serialize(self.embeddings_initializer),
        }
