import math

import keras
import numpy as np
from keras import ops


@keras.saving.register_keras_serializable(package="polysemy")
class SinusoidalPosition(keras.layers.Layer):
    """A fixed vector for each position: sines and cosines of falling frequency.

    Feature 2i of position p is `sin(p / 10000^(2i / D))`, feature 2i + 1 the cosine of the same.
    The program of the paper's authors differs: all sines stand before all cosines and the exponent
    is `i / (D / 2 - 1)`; weights that were trained with it need `layout="halves"`.

    Shapes: B batch, L positions, D features.

    Args:
        layout: "interleaved" (the paper) or "halves" (its program).
        max_wavelength: float. 10,000 above.

    Call arguments:
        x: (B, L, D). Only its shape counts. D must be even.
        start_index: int, scalar or (B,) int tensor. Position of the first column of `x`, of all
            rows or of each.

    Returns:
        (L, D), or (B, L, D) if `start_index` has an axis; in the compute dtype. To be added to `x`.

    Example:
    >>> x = keras.ops.ones((2, 3, 8))
    >>> (x + SinusoidalPosition()(x)).shape
    TensorShape([2, 3, 8])

    Reference: [Vaswani et al., 2017](https://arxiv.org/abs/1706.03762), section 3.5.
    """

    def __init__(self, layout="interleaved", max_wavelength=10_000.0, **kwargs):
        super().__init__(**kwargs)
        if layout not in ("interleaved", "halves"):
            raise ValueError(
                f'`layout` must be "interleaved" or "halves". Received: layout={layout!r}'
            )
        self.layout = layout
        self.max_wavelength = max_wavelength

    def build(self, x_shape):
        if x_shape[-1] % 2:
            raise ValueError(
                f"The features of `x` must be even. Received: x.shape={tuple(x_shape)}"
            )
        half = x_shape[-1] // 2
        steps = half if self.layout == "interleaved" else max(half - 1, 1)
        exponents = np.arange(half) * (-math.log(self.max_wavelength) / steps)
        self._frequencies = np.exp(exponents).astype("float32")  # (D / 2,)

    def call(self, x, start_index=0):
        length, dim = ops.shape(x)[1], x.shape[-1]
        start = ops.cast(ops.convert_to_tensor(start_index), "float32")
        # In float32 whatever the compute dtype: half precision cannot tell late positions apart.
        position = ops.expand_dims(start, -1) + ops.arange(length, dtype="float32")
        angles = ops.expand_dims(position, -1) * self._frequencies  # (L, D / 2) or (B, L, D / 2)
        waves = [ops.sin(angles), ops.cos(angles)]
        if self.layout == "halves":
            table = ops.concatenate(waves, axis=-1)
        else:
            table = ops.reshape(ops.stack(waves, axis=-1), (*ops.shape(angles)[:-1], dim))
        return ops.cast(table, self.compute_dtype)

    def compute_output_spec(self, x, start_index=0):
        per_row = len(getattr(start_index, "shape", ())) == 1
        return keras.KerasTensor(x.shape if per_row else x.shape[1:], self.compute_dtype)

    def get_config(self):
        return {
            **super().get_config(),
            "layout": self.layout,
            "max_wavelength": self.max_wavelength,
        }
