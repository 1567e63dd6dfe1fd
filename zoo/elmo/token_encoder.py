import keras

from ...layers.character_cnn import CharacterCNN
from ...layers.distinct_rows import DistinctRows
from ...layers.highway import Highway
from ...layers.take_rows import TakeRows


@keras.saving.register_keras_serializable(package="polysemy")
class TokenEncoder(keras.layers.Layer):
    """ELMo's context-free word vectors: characters → CNN → highway → projection.

    Each distinct word of the batch is computed once.

    Shapes: B batch, L tokens, C characters a word, P projection_dim.

    Args:
        character_vocabulary_size: int. Character ids, padding included.
        character_embedding_dim: int.
        filters: list of (width, number).
        num_highway_layers: int. 0 for none.
        projection_dim: int. P.
        activation: "relu" or "tanh", of the CNN.

    Call arguments:
        inputs: (B, L, C) int.

    Returns:
        (B, L, P) float in the compute dtype.

    Example:
    >>> encoder = TokenEncoder(262, 4, [(1, 8), (2, 8)], num_highway_layers=1, projection_dim=6)
    >>> encoder(keras.ops.ones((2, 3, 50), "int32")).shape
    TensorShape([2, 3, 6])

    Reference: [Peters et al., 2018](https://arxiv.org/abs/1802.05365), section 3.4.
    """

    def __init__(
        self,
        character_vocabulary_size,
        character_embedding_dim,
        filters,
        num_highway_layers,
        projection_dim,
        activation="relu",
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.character_vocabulary_size = character_vocabulary_size
        self.character_embedding_dim = character_embedding_dim
        self.filters = [list(pair) for pair in filters]
        self.num_highway_layers = num_highway_layers
        self.projection_dim = projection_dim
        self.activation = activation
        policy = self.dtype_policy
        self.distinct = DistinctRows(name="distinct")
        self.character_cnn = CharacterCNN(
            character_vocabulary_size,
            character_embedding_dim,
            filters,
            activation,
            dtype=policy,
            name="character_cnn",
        )
        self.highway = None
        if num_highway_layers:
            self.highway = Highway(num_highway_layers, dtype=policy, name="highway")
        self.projection = keras.layers.Dense(
            projection_dim,
            kernel_initializer=keras.initializers.RandomNormal(
                stddev=self.character_cnn.output_dim**-0.5
            ),
            dtype=policy,
            name="projection",
        )
        self.take = TakeRows(dtype=policy, name="take")

    def build(self, input_shape):
        words = (None, self.character_cnn.output_dim)
        self.character_cnn.build((None, input_shape[-1]))
        if self.highway is not None:
            self.highway.build(words)
        self.projection.build(words)

    def call(self, inputs):
        words, indices = self.distinct(inputs)
        x = self.character_cnn(words)  # (U, F)
        if self.highway is not None:
            x = self.highway(x)
        return self.take(self.projection(x), indices)  # (B, L, P)

    def compute_output_spec(self, inputs):
        return keras.KerasTensor((*inputs.shape[:2], self.projection_dim), self.compute_dtype)

    def get_config(self):
        return {
            **super().get_config(),
            "character_vocabulary_size": self.character_vocabulary_size,
            "character_embedding_dim": self.character_embedding_dim,
            "filters": self.filters,
            "num_highway_layers": self.num_highway_layers,
            "projection_dim": self.projection_dim,
            "activation": self.activation,
        }
