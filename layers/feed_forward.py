import keras

from .affine import affine, as_rows, check_activation, like_rows_of
from .gelu import gelu
from .initializers import first_values


@keras.saving.register_keras_serializable(package="polysemy")
class FeedForward(keras.layers.Layer):
    """Transforms each position by itself: `act(x W1 + b1) W2 + b2`.

    Shapes: D features, F intermediate_dim; the leading axes are free.

    Args:
        intermediate_dim: int. F; 4 D in BERT, GPT-2 and the Transformer.
        activation: "gelu" (exact), "gelu_tanh" (the approximation of BERT's and GPT-2's programs),
            "relu" (the Transformer) or "tanh".
        dropout: float. Of the inner activations, in training; none of the papers has it.
        kernel_initializer: Keras initializer.
        output_initializer: Keras initializer of W2; by default as W1.
        seed: int or None. Of the dropout.

    Call arguments:
        inputs: (..., D) float.
        residual: (..., D) float. Added to the output, for less than an addition costs.
        training: bool.

    Returns:
        (..., D) in the compute dtype.

    Example:
    >>> FeedForward(16, activation="relu")(keras.ops.ones((2, 3, 4))).shape
    TensorShape([2, 3, 4])

    Reference: [Vaswani et al., 2017](https://arxiv.org/abs/1706.03762), section 3.3; GELU of
    [Hendrycks and Gimpel, 2016](https://arxiv.org/abs/1606.08415).
    """

    def __init__(
        self,
        intermediate_dim,
        activation="gelu",
        dropout=0.0,
        kernel_initializer="glorot_uniform",
        output_initializer=None,
        seed=None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.supports_masking = True
        if intermediate_dim < 1:
            raise ValueError(
                "`intermediate_dim` must be at least 1. Received: "
                f"intermediate_dim={intermediate_dim}"
            )
        if not 0 <= dropout < 1:
            raise ValueError(f"`dropout` must be in [0, 1). Received: dropout={dropout}")
        check_activation(activation)
        self.intermediate_dim = intermediate_dim
        self.activation = activation
        self.dropout = dropout
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.output_initializer = keras.initializers.get(output_initializer)
        self.seed = seed
        self.dropout_layer = keras.layers.Dropout(dropout, seed=seed, dtype=self.dtype_policy)

    def build(self, inputs_shape):
        dim = inputs_shape[-1]
        self.kernel = self.add_weight(
            name="kernel",
            shape=(dim, self.intermediate_dim),
            initializer=first_values(self.kernel_initializer),
        )
        self.bias = self.add_weight(
            name="bias", shape=(self.intermediate_dim,), initializer="zeros"
        )
        self.output_kernel = self.add_weight(
            name="output_kernel",
            shape=(self.intermediate_dim, dim),
            initializer=first_values(self.output_initializer or self.kernel_initializer),
        )
        self.output_bias = self.add_weight(name="output_bias", shape=(dim,), initializer="zeros")

    def call(self, inputs, residual=None, training=None):
        x = as_rows(inputs)
        if training and self.activation.startswith("gelu"):
            x = gelu(affine(x, self.kernel, self.bias), self.activation == "gelu_tanh")
        else:
            x = affine(x, self.kernel, self.bias, self.activation)  # (N, F)
        x = self.dropout_layer(x, training=training)
        x = affine(x, self.output_kernel, self.output_bias, residual=residual)
        return like_rows_of(x, inputs)

    def compute_output_shape(self, inputs_shape, residual_shape=None):
        return inputs_shape

    def get_config(self):
        return {
            **super().get_config(),
            "intermediate_dim": self.intermediate_dim,
            "activation": self.activation,
            "dropout": self.dropout,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
            "output_initializer": self.output_initializer
            and keras.initializers.serialize(self.output_initializer),
            "seed": self.seed,
        }
