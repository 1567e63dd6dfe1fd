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
        x = x - ops.mean(x, axis=-1, keepdims=True)
        # In training the plain formula has the cheaper gradient; of the single positions of a
        # decoding it costs less.
        if training or x.shape[-2:-1] == (1,) or not is_unit_variance_fused():
            variance = ops.mean(ops.square(x), axis=-1, keepdims=True)
            x = x * (ops.rsqrt(variance + self.epsilon) * gamma)
        else:
            x = unit_variance(x, self.epsilon) * gamma
        return ops.cast(x + beta, self.compute_dtype)

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {**super().get_config(), "epsilon": self.epsilon}
