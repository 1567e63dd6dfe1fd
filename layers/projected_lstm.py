import keras
from keras import ops

from .initializers import first_values
from .lstm_scan import lstm_scan
from .masks import keras_mask


@keras.saving.register_keras_serializable(package="polysemy")
class ProjectedLSTM(keras.layers.Layer):
    """An LSTM with a wide cell whose output is projected before it recurs.

    With `z = x W + h R + b` in blocks i, f, c, o and the forget bias added to block f at run time:

        c_t = clip(sigmoid(f) * c_{t-1} + sigmoid(i) * tanh(c), cell_clip)
        h_t = clip((sigmoid(o) * tanh(c_t)) P, projection_clip)

    Inputs of all steps are projected before the loop, and the gradients of the weights are taken by
    one product after it: inside the loop only what recurs is computed.

    Shapes: B batch, L steps, D input features, H units, P projection_dim.

    Args:
        units: int. H, the width of the cell.
        projection_dim: int. P, the width of output and recurrence.
        cell_clip: float or None. The cell is kept within ± this value; 3 for ELMo.
        projection_clip: float or None. The same for the projected output; 3 for ELMo.
        forget_bias: float. Added to the forget gate at run time, not stored in the bias.
        residual: bool. Add the inputs to the outputs (D must be P). The recurrent state stays
            without.
        go_backwards: bool. Read from the last step to the first. Outputs keep the order of the
            inputs.
        return_state: bool. Also return the state after the last step read.
        kernel_initializer: of W, R and P.

    Call arguments:
        inputs: (B, L, D) float.
        padding_mask: (B, L) bool, True at tokens; by default Keras's mask of the inputs. At padding
            the state stands still and the output is zero; read backwards, this equals reversing
            each row by its true length.
        initial_state: pair (B, P), (B, H) of output and cell. Zeros by default.

    Returns:
        (B, L, P) float in the compute dtype; with `return_state` a tuple (outputs, output, cell),
        the cell in float32 under mixed precision.

    Example:
    >>> ProjectedLSTM(16, projection_dim=4)(keras.ops.ones((2, 7, 3))).shape
    TensorShape([2, 7, 4])

    Reference: [Sak et al., 2014](https://arxiv.org/abs/1402.1128); clipping and residual as in the
    biLM of [Peters et al., 2018](https://arxiv.org/abs/1802.05365).
    """

    def __init__(
        self,
        units,
        projection_dim,
        cell_clip=None,
        projection_clip=None,
        forget_bias=1.0,
        residual=False,
        go_backwards=False,
        return_state=False,
        kernel_initializer="glorot_uniform",
        **kwargs,
    ):
        # Without autocast, which would round the cell that a call before handed on.
        super().__init__(autocast=False, **kwargs)
        for name, value in (("units", units), ("projection_dim", projection_dim)):
            if value < 1:
                raise ValueError(f"`{name}` must be at least 1. Received: {name}={value}")
        for name, value in (("cell_clip", cell_clip), ("projection_clip", projection_clip)):
            if value is not None and value <= 0:
                raise ValueError(f"`{name}` must be positive or None. Received: {name}={value}")
        self.supports_masking = True
        self.units = units
        self.projection_dim = projection_dim
        self.cell_clip = cell_clip
        self.projection_clip = projection_clip
        self.forget_bias = forget_bias
        self.residual = residual
        self.go_backwards = go_backwards
        self.return_state = return_state
        self.kernel_initializer = keras.initializers.get(kernel_initializer)

    def build(self, input_shape):
        input_dim = input_shape[-1]
        if self.residual and input_dim != self.projection_dim:
            raise ValueError(
                "`projection_dim` must equal the input's last axis when `residual` is True. "
                f"Received: projection_dim={self.projection_dim}, inputs.shape={tuple(input_shape)}"
            )

        def matrix(name, shape):
            initializer = first_values(self.kernel_initializer)
            return self.add_weight(name=name, shape=shape, initializer=initializer)

        self.kernel = matrix("kernel", (input_dim, 4 * self.units))
        self.recurrent_kernel = matrix("recurrent_kernel", (self.projection_dim, 4 * self.units))
        self.bias = self.add_weight(name="bias", shape=(4 * self.units,), initializer="zeros")
        self.projection_kernel = matrix("projection_kernel", (self.units, self.projection_dim))

    def call(self, inputs, padding_mask=None, initial_state=None):
        if padding_mask is None:
            padding_mask = keras_mask(inputs)
        inputs = ops.cast(inputs, self.compute_dtype)
        batch_size = ops.shape(inputs)[0]
        # Time first: each step of the loop then reads one contiguous block.
        x = ops.transpose(inputs, (1, 0, 2))  # (L, B, D)
        forget_bias = ops.concatenate(
            [
                ops.full((self.units,), self.forget_bias if i == 1 else 0.0, dtype=self.bias.dtype)
                for i in range(4)
            ]
        )
        mask = None
        if padding_mask is not None:
            mask = ops.cast(ops.transpose(padding_mask), x.dtype)  # (L, B)
        if initial_state is None:
            h0 = ops.zeros((batch_size, self.projection_dim), dtype=x.dtype)
            c0 = ops.zeros((batch_size, self.units), dtype="float32")
        else:
            h0 = ops.cast(initial_state[0], x.dtype)
            # The cell sums over all steps: it is kept in float32 whatever the compute dtype.
            c0 = ops.cast(initial_state[1], "float32")
        outputs, h, c = lstm_scan(
            x,
            mask,
            ops.cast(self.kernel, x.dtype),
            ops.cast(self.bias + forget_bias, "float32"),
            ops.cast(self.recurrent_kernel, x.dtype),
            ops.cast(self.projection_kernel, x.dtype),
            h0,
            c0,
            cell_clip=self.cell_clip,
            projection_clip=self.projection_clip,
            reverse=self.go_backwards,
        )
        if mask is not None:
            outputs = outputs * mask[:, :, None]
        outputs = ops.transpose(outputs, (1, 0, 2))  # (B, L, P)
        if self.residual:
            outputs = outputs + inputs
            if padding_mask is not None:
                outputs = outputs * ops.cast(padding_mask[:, :, None], outputs.dtype)
        return (outputs, h, c) if self.return_state else outputs

    def compute_output_spec(self, inputs, padding_mask=None, initial_state=None):
        shapes = self.compute_output_shape(inputs.shape)
        if not self.return_state:
            return keras.KerasTensor(shapes, self.compute_dtype)
        dtypes = (self.compute_dtype, self.compute_dtype, "float32")
        return tuple(map(keras.KerasTensor, shapes, dtypes))

    def compute_output_shape(self, inputs_shape):
        batch_size, length = inputs_shape[:2]
        outputs = (batch_size, length, self.projection_dim)
        if not self.return_state:
            return outputs
        return outputs, (batch_size, self.projection_dim), (batch_size, self.units)

    def get_config(self):
        return {
            **super().get_config(),
            "units": self.units,
            "projection_dim": self.projection_dim,
            "cell_clip": self.cell_clip,
            "projection_clip": self.projection_clip,
            "forget_bias": self.forget_bias,
            "residual": self.residual,
            "go_backwards": self.go_backwards,
            "return_state": self.return_state,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
        }
