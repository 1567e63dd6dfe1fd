import math

from keras import ops


def gelu(x, approximate=False):
    """The Gaussian error linear unit, `x Φ(x)`, whose gradient keeps x and nothing else.

    Automatic differentiation keeps three to five arrays of the size of `x`, the largest of a
    Transformer's training step; here the gradient computes them once more. Where no gradient is
    taken `keras.ops.gelu` is better: TensorFlow makes one operation of it and the product before.

    Args:
        x: float, any shape.
        approximate: bool. The form with tanh: `x / 2 (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3)))`.

    Returns:
        Shape and dtype of `x`.

    Example:
    >>> round(float(gelu(ops.array(1.0))), 4)
    0.8413

    Reference: [Hendrycks and Gimpel, 2016](https://arxiv.org/abs/1606.08415), section 2.
    """
    slope = _slope_of_tanh_form if approximate else _slope

    @ops.custom_gradient
    def run(x):
        return ops.gelu(x, approximate=approximate), lambda upstream: upstream * slope(x)

    return run(x)


def _slope(x):
    """Φ(x) + x φ(x)."""
    density = ops.exp(-0.5 * ops.square(x)) * (1.0 / math.sqrt(2.0 * math.pi))
    return 0.5 * (1.0 + ops.erf(x * math.sqrt(0.5))) + x * density


def _slope_of_tanh_form(x):
    square = ops.square(x)
    scale = math.sqrt(2.0 / math.pi)
    tanh = ops.tanh(scale * x * (1.0 + 0.044715 * square))
    inner = scale * (1.0 + 3.0 * 0.044715 * square)  # the slope of what is under the tanh
    return 0.5 * (1.0 + tanh) + 0.5 * x * (1.0 - ops.square(tanh)) * inner
