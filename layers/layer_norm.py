import keras
from keras import ops

from .unit_variance import is_unit_variance_fused, unit_variance


@keras.saving.register_keras_serializable(package="polysemy")
class LayerNorm(keras.layers.Layer):
    """Gives each position mean 0 and variance 1 over its features, then scales and shifts them.

    `(x - mean) / sqrt(variance + epsilon) * gamma + beta`. Computed in float32 whatever comes in,
    with a weight's full precision: Keras's own layer rounds `gamma` and `beta` to the compute dtype
    first, and passes over the largest arrays more often.

    Shapes: D features; the leading axes are free.

    Weights: `gamma`, `beta` (D,).

    Args:
        epsilon: float. 1e-12 in BERT, 1e-5 in GPT-2.

    Call arguments:
        inputs: (..., D) float.
        training: bool. It changes the way, not the result.

    Returns:
        (..., D) in the compute dtype.

    Example:
    >>> keras.ops.convert_to_numpy(LayerNorm(0.0)(keras.ops.array([[1.0, 3.0]]))).tolist()
    [[-1.0, 1.0]]

    Reference: [Ba et al., 2016](https://arxiv.org/abs/1607.06450)
    """

    def __init__(self, epsilon=1e-12, **kwargs):
        super().__init__(autocast=False, **kwargs)
        self.supports_masking = True
        if epsilon < 0:
            raise ValueError(f"`epsilon` must be at least 0. Received: epsilon={epsilon}")
        self.epsilon = epsilon

    def build(self, input_shape):
        shape = (input_shape[-1],)
        self.gamma = self.add_weight(name="gamma", shape=shape, initializer="ones", autocast=False)
        self.beta = self.add_weight(name="beta", shape=shape, initializer="zeros", autocast=False)

    def call(self, inputs, training=None):
        gamma, beta = (ops.cast(weight, "float32") for weight in (self.gamma, self.beta))
        x = ops.cast(inputs, "float32")
        if training:
            x = _with_lean_gradient(x, gamma, beta, self.epsilon)
        elif x.shape[-2:-1] == (1,) or not is_unit_variance_fused():
            # Of the single positions of a decoding it costs less.
            x = _standardized(x, self.epsilon)[0] * gamma + beta
        else:
            x = unit_variance(_centered(x), self.epsilon) * gamma + beta
        return ops.cast(x, self.compute_dtype)

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {**super().get_config(), "epsilon": self.epsilon}


def _centered(x):
    return x - ops.mean(x, axis=-1, keepdims=True)


def _standardized(x, epsilon):
    """Rows of mean 0 and variance 1, (..., D), and what they were multiplied by, (..., 1)."""
    x = _centered(x)
    scale = ops.rsqrt(ops.mean(ops.square(x), axis=-1, keepdims=True) + epsilon)
    return x * scale, scale


def _with_lean_gradient(x, gamma, beta, epsilon):
    """The layer, keeping one array of the size of `x` for its gradient, where automatic
    differentiation keeps two."""

    @ops.custom_gradient
    def run(x, gamma, beta):
        x, scale = _standardized(x, epsilon)

        def gradient(upstream):
            rows = tuple(range(len(x.shape) - 1))
            slope = upstream * gamma
            along = ops.mean(slope * x, axis=-1, keepdims=True)
            return (
                (_centered(slope) - x * along) * scale,
                ops.sum(upstream * x, axis=rows),
                ops.sum(upstream, axis=rows),
            )

        return x * gamma + beta, gradient

    return run(x, gamma, beta)
