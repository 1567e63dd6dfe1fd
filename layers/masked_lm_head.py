import keras
from keras import ops

from .affine import affine, check_activation
from .layer_norm import LayerNorm
from .tied_head import TiedHead


@keras.saving.register_keras_serializable(package="polysemy")
class MaskedLMHead(TiedHead):
    """Scores the vocabulary at chosen positions: `norm(act(h W + b)) E^T + c`.

    E are the token embeddings, tied: hand over the layer that has them as `tie_to`. A tensor may be
    given to each call instead, but not in a functional graph, which would keep the values that the
    variable had when the graph was made.

    Shapes: B batch, L positions, P chosen positions, D features, V vocabulary_size.

    Weights: `transform_kernel` (D, D), `transform_bias`, `layer_norm/gamma` and `/beta`, `bias`.

    Args:
        vocabulary_size: int. V.
        activation: str. See `FeedForward`.
        layer_norm_epsilon: float.
        kernel_initializer: Keras initializer.
        tie_to: keras.layers.Layer or None. A layer with `token_embeddings` (V, D).

    Call arguments:
        sequence_output: (B, L, D) float.
        mask_positions: (B, P) int. Slots without a position hold any valid one, such as 0.
        embedding_matrix: (V, D) float; only without `tie_to`.

    Returns:
        (B, P, V) float32.

    Example:
    >>> head = MaskedLMHead(vocabulary_size=10)
    >>> x, positions = keras.ops.ones((2, 5, 4)), keras.ops.array([[1, 3], [2, 0]])
    >>> head(x, positions, embedding_matrix=keras.ops.ones((10, 4))).shape
    TensorShape([2, 2, 10])

    Reference: [Devlin et al., 2018](https://arxiv.org/abs/1810.04805), section 3.1.
    """

    def __init__(
        self,
        vocabulary_size,
        activation="gelu",
        layer_norm_epsilon=1e-12,
        kernel_initializer="glorot_uniform",
        tie_to=None,
        **kwargs,
    ):
        super().__init__(vocabulary_size, tie_to, **kwargs)
        check_activation(activation)
        self.activation = activation
        self.layer_norm_epsilon = layer_norm_epsilon
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.layer_norm = LayerNorm(layer_norm_epsilon, name="layer_norm", dtype=self.dtype_policy)

    def build(self, sequence_output_shape):
        dim = sequence_output_shape[-1]
        if self.tie_to is not None:
            if not self.tie_to.built:
                self.tie_to.build()
            self._check_matrix(self.tie_to.token_embeddings, dim, "tie_to.token_embeddings")
        self.transform_kernel = self.add_weight(
            name="transform_kernel", shape=(dim, dim), initializer=self.kernel_initializer
        )
        self.transform_bias = self.add_weight(
            name="transform_bias", shape=(dim,), initializer="zeros"
        )
        self.layer_norm.build((None, None, dim))
        self.bias = self.add_weight(
            name="bias", shape=(self.vocabulary_size,), initializer="zeros", autocast=False
        )

    def _check_matrix(self, matrix, dim, name):
        sizes = zip(matrix.shape, (self.vocabulary_size, dim), strict=True)
        if any(size not in (None, expected) for size, expected in sizes):
            raise ValueError(
                f"`{name}` must have `vocabulary_size` rows as wide as `sequence_output`. "
                f"Received: {name} of shape {tuple(matrix.shape)}, "
                f"vocabulary_size={self.vocabulary_size}, features={dim}"
            )

    def call(self, sequence_output, mask_positions, embedding_matrix=None):
        if (self.tie_to is None) == (embedding_matrix is None):
            raise ValueError(
                "`embedding_matrix` must be given if and only if the layer has no `tie_to`. "
                f"Received: tie_to={self.tie_to}, embedding_matrix={embedding_matrix}"
            )
        if self.tie_to is not None:
            embedding_matrix = self.tie_to.token_embeddings
        self._check_matrix(embedding_matrix, sequence_output.shape[-1], "embedding_matrix")
        positions = ops.cast(mask_positions, "int32")[:, :, None]  # (B, P, 1)
        x = ops.take_along_axis(sequence_output, positions, axis=1)  # (B, P, D)
        x = affine(x, self.transform_kernel, self.transform_bias, self.activation)
        x = self.layer_norm(x)
        matrix = ops.transpose(ops.cast(embedding_matrix, x.dtype))
        logits = ops.cast(affine(x, matrix), "float32")
        return logits + ops.cast(self.bias, "float32")

    def compute_output_spec(self, sequence_output, mask_positions, embedding_matrix=None):
        return keras.KerasTensor((*mask_positions.shape, self.vocabulary_size), "float32")

    def get_config(self):
        return {
            **super().get_config(),
            "activation": self.activation,
            "layer_norm_epsilon": self.layer_norm_epsilon,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
        }
