import keras
from keras import ops

ELMO_FILTERS = ((1, 32), (2, 32), (3, 64), (4, 128), (5, 256), (6, 512), (7, 1024))


@keras.saving.register_keras_serializable(package="polysemy")
class CharacterCNN(keras.layers.Layer):
    """Builds one vector per word out of its characters.

    Characters are embedded, convolved with filters of several widths (no padding), each filter
    keeps its largest response over the word, and an activation follows.

    Shapes: C characters a word, F the sum of all filters; the leading axes are free.

    Args:
        vocabulary_size: int. Number of character ids, id 0 (padding) included; 262 for ELMo. Row 0
            of the embedding is zero and stays so.
        embedding_dim: int. Features per character; 16 for ELMo.
        filters: list of (width, number). ELMo's 2,048 filters by default.
        activation: "relu" or "tanh". Also picks the start of the filters, as the biLM program does:
            U(-0.05, 0.05) for relu, N(0, 1/sqrt(width * embedding_dim)) for tanh.

    Call arguments:
        inputs: (..., C) int. C must be at least the largest width.

    Returns:
        (..., F) float in the compute dtype.

    Example:
    >>> cnn = CharacterCNN(262, embedding_dim=4, filters=[(1, 8), (3, 16)])
    >>> cnn(keras.ops.ones((2, 5, 50), "int32")).shape
    TensorShape([2, 5, 24])

    Reference: [Kim et al., 2016](https://arxiv.org/abs/1508.06615); sizes of
    [Peters et al., 2018](https://arxiv.org/abs/1802.05365).
    """

    def __init__(
        self, vocabulary_size, embedding_dim=16, filters=ELMO_FILTERS, activation="relu", **kwargs
    ):
        super().__init__(**kwargs)
        if activation not in ("relu", "tanh"):
            raise ValueError(
                f'`activation` must be "relu" or "tanh". Received: activation={activation!r}'
            )
        if not filters:
            raise ValueError(f"`filters` must hold at least one pair. Received: filters={filters}")
        if min(number for pair in filters for number in pair) < 1:
            raise ValueError(
                "`filters` must be pairs of a width and a number, at least 1 each. Received: "
                f"filters={filters}"
            )
        self.vocabulary_size = vocabulary_size
        self.embedding_dim = embedding_dim
        self.filters = tuple((int(width), int(number)) for width, number in filters)
        self.activation = activation

    @property
    def output_dim(self):
        return sum(number for _, number in self.filters)

    def build(self, input_shape):
        widest = max(width for width, _ in self.filters)
        if input_shape[-1] is not None and input_shape[-1] < widest:
            raise ValueError(
                "`inputs` must have at least as many characters as the widest filter. Received: "
                f"inputs.shape={tuple(input_shape)}, width={widest}"
            )
        # Row 0 is no weight: padding must stay zero whatever is trained or loaded.
        self.embeddings = self.add_weight(
            name="embeddings",
            shape=(self.vocabulary_size - 1, self.embedding_dim),
            initializer=keras.initializers.RandomUniform(-1.0, 1.0),
        )
        self.convolutions = []
        for i, (width, number) in enumerate(self.filters):
            if self.activation == "relu":
                initializer = keras.initializers.RandomUniform(-0.05, 0.05)
            else:
                initializer = keras.initializers.RandomNormal(
                    stddev=(width * self.embedding_dim) ** -0.5
                )
            self.convolutions.append(
                (
                    self.add_weight(
                        name=f"kernel_{i}",
                        shape=(width, self.embedding_dim, number),
                        initializer=initializer,
                    ),
                    self.add_weight(name=f"bias_{i}", shape=(number,), initializer="zeros"),
                )
            )

    def call(self, inputs):
        shape = ops.shape(inputs)
        characters = ops.reshape(inputs, (-1, shape[-1]))  # (N, C)
        table = ops.pad(ops.convert_to_tensor(self.embeddings), [[1, 0], [0, 0]])
        x = ops.cast(ops.take(table, characters, axis=0), self.compute_dtype)  # (N, C, E)
        pooled = []
        for (width, number), (kernel, bias) in zip(self.filters, self.convolutions, strict=True):
            # A convolution of so few features is faster as one product over windows laid side by
            # side.
            positions = shape[-1] - width + 1
            windows = ops.concatenate([x[:, i : i + positions] for i in range(width)], axis=-1)
            kernel = ops.reshape(kernel, (width * self.embedding_dim, number))
            responses = ops.matmul(windows, kernel)  # (N, positions, number)
            # The bias and a rising activation may follow the maximum: the result is the same and
            # only one position per word is left to compute. `initial` lets a batch without words
            # through.
            pooled.append(ops.max(responses, axis=1, initial=-1e30) + bias)
        words = ops.concatenate(pooled, axis=-1)  # (N, F)
        words = ops.relu(words) if self.activation == "relu" else ops.tanh(words)
        return ops.reshape(words, (*shape[:-1], self.output_dim))

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], self.output_dim)

    def get_config(self):
        return {
            **super().get_config(),
            "vocabulary_size": self.vocabulary_size,
            "embedding_dim": self.embedding_dim,
            "filters": [list(pair) for pair in self.filters],
            "activation": self.activation,
        }
