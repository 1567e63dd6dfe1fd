import keras
from keras import ops


@keras.saving.register_keras_serializable(package="polysemy")
class Highway(keras.layers.Layer):
    """Lets each feature choose between being transformed and being carried through.

    `y = g * relu(x W_t + b_t) + (1 - g) * x` with the gate `g = sigmoid(x W_g + b_g)`, applied
    `num_layers` times. The gate bias starts at -2, so that at first the input is mostly carried:
    whoever turns the formula round must turn that sign round too.

    Shapes: D features; the leading axes are free.

    Args:
        num_layers: int, at least 1. How many times the formula is applied, each with its own
            weights.
        gate_bias: float. Start of `b_g`.

    Call arguments:
        inputs: (..., D) float.

    Returns:
        (..., D) float in the compute dtype.

    Example:
    >>> Highway(num_layers=2)(keras.ops.ones((3, 8))).shape
    TensorShape([3, 8])

    Reference: [Srivastava et al., 2015](https://arxiv.org/abs/1505.00387); the gate's sign and
    start as in the biLM program of [Peters et al., 2018](https://arxiv.org/abs/1802.05365).
    """

    def __init__(self, num_layers=1, gate_bias=-2.0, **kwargs):
        super().__init__(**kwargs)
        if num_layers < 1:
            raise ValueError(f"`num_layers` must be at least 1. Received: num_layers={num_layers}")
        self.num_layers = num_layers
        self.gate_bias = gate_bias
        self.supports_masking = True

    def build(self, input_shape):
        dim = input_shape[-1]
        # N(0, 1/sqrt(fan_in)), as the biLM program starts its highway and projection matrices.
        kernel = {"shape": (dim, dim), "initializer": _fan_in_normal(dim)}
        self.transforms = [
            (
                self.add_weight(name=f"transform_kernel_{i}", **kernel),
                self.add_weight(name=f"transform_bias_{i}", shape=(dim,), initializer="zeros"),
                self.add_weight(name=f"gate_kernel_{i}", **kernel),
                self.add_weight(
                    name=f"gate_bias_{i}",
                    shape=(dim,),
                    initializer=keras.initializers.Constant(self.gate_bias),
                ),
            )
            for i in range(self.num_layers)
        ]

    def call(self, inputs):
        x = inputs
        for transform_kernel, transform_bias, gate_kernel, gate_bias in self.transforms:
            transformed = ops.relu(ops.matmul(x, transform_kernel) + transform_bias)
            gate = ops.sigmoid(ops.matmul(x, gate_kernel) + gate_bias)
            x = x + gate * (transformed - x)
        return x

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {
            **super().get_config(),
            "num_layers": self.num_layers,
            "gate_bias": self.gate_bias,
        }


def _fan_in_normal(fan_in):
    return keras.initializers.RandomNormal(stddev=fan_in**-0.5)
