"""The recurrence of a projected LSTM with its gradient written out.

Automatic differentiation of the loop would add up the gradient of each weight matrix step by step;
those matrices are the largest arrays here, so reading and writing them at every step costs more
than the rest. The written-out gradient keeps the gates' gradients of all steps and takes each
weight's in one product.
"""

import functools

from keras import backend, ops


def lstm_scan(
    z, mask, recurrent_kernel, projection_kernel, h0, c0, *, cell_clip, projection_clip, reverse
):
    """Runs the recurrence over axis 0.

    Shapes: L steps, B batch, H units, P projection.

    Args:
        z: (L, B, 4H). Projected inputs with every bias, blocks i, f, c, o.
        mask: (L, B, 1), 1 at tokens, 0 at padding, dtype of `z`.
        recurrent_kernel: (P, 4H), dtype of `z`.
        projection_kernel: (H, P), dtype of `z`.
        h0: (B, P), dtype of `z`. c0: (B, H) float32.
        cell_clip, projection_clip: float or None.
        reverse: bool. Read from L - 1 down to 0.

    Returns:
        States after each step (L, B, P), in the order of `z`; last output (B, P); last cell (B, H).
    """

    def clip(x, limit):
        return x if limit is None else ops.clip(x, -limit, limit)

    def inside(x, limit):
        return ops.cast(ops.abs(x) < limit, x.dtype)

    # The scans run over the step's number alone, and each step takes its slices itself: Keras's
    # scan on TensorFlow needs a known length as soon as it is given more than one tensor. What a
    # step reads comes as an argument: a function with its own gradient must not close over values
    # that JAX differentiates.
    def forward_step(z, mask, recur, project, carry, t):
        h_before, c_before = carry[0], carry[1]
        gates = ops.split(z[t] + recur(h_before), 4, axis=-1)  # each (B, H)
        i, f, g, o = (ops.cast(gate, "float32") for gate in gates)
        i, f, g, o = ops.sigmoid(i), ops.sigmoid(f), ops.tanh(g), ops.sigmoid(o)
        c = clip(f * c_before + i * g, cell_clip)
        hidden = ops.cast(o * ops.tanh(c), h_before.dtype)
        h = clip(project(hidden), projection_clip)
        keep = ops.cast(mask[t], "bool")
        h = ops.where(keep, h, h_before)
        c = ops.where(keep, c, c_before)
        # `ops.scan` wants outputs of the carry's structure: the gates travel along in it.
        carry = (h, c, *(ops.cast(gate, h.dtype) for gate in (i, f, g, o)))
        return carry, carry

    @ops.custom_gradient
    def run(z, mask, recurrent_kernel, projection_kernel, h0, c0):
        recur, project = _multiply_by(recurrent_kernel), _multiply_by(projection_kernel)
        gates = [ops.cast(ops.zeros_like(c0), z.dtype)] * 4
        (h_last, c_last, *_), (h, c, *gates) = ops.scan(
            functools.partial(forward_step, z, mask, recur, project),
            (h0, c0, *gates),
            xs=ops.arange(ops.shape(z)[0]),
            reverse=reverse,
        )

        def gradient(*upstream):
            # TensorFlow hands the upstream gradients over one by one, JAX as one tuple.
            dh_all, dh_last, dc_last = upstream[0] if len(upstream) == 1 else upstream
            before = _shift(h, h0, reverse), _shift(c, c0, reverse)
            return backward(
                mask, recurrent_kernel, projection_kernel, h, c, gates, *before,
                dh_all, dh_last, dc_last,
            )  # fmt: skip

        return (h, h_last, c_last), gradient

    def backward(
        mask, recurrent_kernel, projection_kernel, h, c, gates, h_before, c_before, dh_all, dh_last,
        dc_last,
    ):  # fmt: skip
        dtype = h.dtype
        to_output = _multiply_by_transposed(recurrent_kernel)  # (B, 4H) -> (B, P)
        to_hidden = _multiply_by_transposed(projection_kernel)  # (B, P) -> (B, H)

        def backward_step(carry, t):
            dh, dc = carry[0], carry[1]
            mask32 = ops.cast(mask[t], "float32")
            i, f, g, o = (ops.cast(gate[t], "float32") for gate in gates)
            dh = dh + ops.cast(dh_all[t], "float32")  # (B, P)
            d_projected = dh * mask32
            if projection_clip is not None:
                d_projected = d_projected * ops.cast(inside(h[t], projection_clip), "float32")
            d_projected = ops.cast(d_projected, dtype)
            d_hidden = ops.cast(to_hidden(d_projected), "float32")  # (B, H)
            tanh_c = ops.tanh(c[t])
            d_cell = dc * mask32 + d_hidden * o * (1.0 - ops.square(tanh_c))
            if cell_clip is not None:
                d_cell = d_cell * inside(c[t], cell_clip)
            d_gates = (
                d_cell * g * i * (1.0 - i),
                d_cell * c_before[t] * f * (1.0 - f),
                d_cell * i * (1.0 - ops.square(g)),
                d_hidden * tanh_c * o * (1.0 - o),
            )
            # (B, 4H), zero at padding since d_cell and d_hidden are.
            d_gates = ops.concatenate([ops.cast(d_gate, dtype) for d_gate in d_gates], axis=-1)
            recurrent = ops.cast(to_output(d_gates), "float32")
            dh = recurrent + dh * (1.0 - mask32)
            dc = d_cell * f + dc * (1.0 - mask32)
            carry = (dh, dc, d_gates, d_projected)
            return carry, carry

        start = (
            ops.cast(dh_last, "float32"),
            ops.cast(dc_last, "float32"),
            ops.concatenate([ops.cast(ops.zeros_like(dc_last), dtype)] * 4, axis=-1),
            ops.cast(ops.zeros_like(dh_last), dtype),
        )
        steps = ops.arange(ops.shape(h)[0])
        (dh0, dc0, _, _), (_, _, d_gates, d_projected) = ops.scan(
            backward_step, start, xs=steps, reverse=not reverse
        )
        hidden = ops.cast(ops.cast(gates[3], "float32") * ops.tanh(c), dtype)
        return (
            d_gates,
            ops.zeros_like(mask),
            _outer_sum(h_before, d_gates),
            _outer_sum(hidden, d_projected),
            ops.cast(dh0, dtype),
            dc0,
        )

    return run(z, mask, recurrent_kernel, projection_kernel, h0, c0)


# The kernels are much larger than what they multiply here. In half precision a CPU multiplies and
# sums two neighbors by one instruction, and wants the summed axis contiguous in the kernel: with
# the kernel on the left, transposed, a step of 32 rows is 1.3 to 1.6 times as fast. In single
# precision it is slower. What each step transposes is small, so this is no loss in eager mode.


def _multiply_by(kernel):
    """A function from x (B, M) to x times `kernel` (M, N)."""
    if backend.standardize_dtype(kernel.dtype) == "float32":
        return lambda x: ops.matmul(x, kernel)
    return functools.partial(_multiply_from_left, ops.transpose(kernel))


def _multiply_by_transposed(kernel):
    """A function from x (B, N) to x times the transposed `kernel` (M, N)."""
    if backend.standardize_dtype(kernel.dtype) == "float32":
        transposed = ops.transpose(kernel)
        return lambda x: ops.matmul(x, transposed)
    return functools.partial(_multiply_from_left, kernel)


def _multiply_from_left(kernel, x):
    return ops.transpose(ops.matmul(kernel, ops.transpose(x)))


def _shift(states, first, reverse):
    """The state before each step: `states` moved by one step, the initial state at the start."""
    if reverse:
        return ops.concatenate([states[1:], first[None]], axis=0)
    return ops.concatenate([first[None], states[:-1]], axis=0)


def _outer_sum(left, right):
    """sum over steps and rows of the outer products: (L, B, M), (L, B, N) -> (M, N)."""
    left = ops.reshape(left, (-1, left.shape[-1]))
    right = ops.reshape(right, (-1, right.shape[-1]))
    return ops.matmul(ops.transpose(left), right)
