"""The recurrence of a projected LSTM with its gradient written out.

Automatic differentiation of the loop would add up the gradient of each weight matrix step by step;
those matrices are the largest arrays here, so reading and writing them at every step costs more
than the rest. The written-out gradient keeps the gates' gradients of all steps and takes each
weight's in one product.
"""

import functools

from keras import ops


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
    def forward_step(z, mask, recurrent_kernel, projection_kernel, carry, t):
        h_before, c_before = carry[0], carry[1]
        gates = z[t] + ops.matmul(h_before, recurrent_kernel)  # (B, 4H)
        i, f, g, o = ops.split(ops.cast(gates, "float32"), 4, axis=-1)
        i, f, g, o = ops.sigmoid(i), ops.sigmoid(f), ops.tanh(g), ops.sigmoid(o)
        c = clip(f * c_before + i * g, cell_clip)
        hidden = ops.cast(o * ops.tanh(c), h_before.dtype)
        h = clip(ops.matmul(hidden, projection_kernel), projection_clip)
        keep = ops.cast(mask[t], "bool")
        h = ops.where(keep, h, h_before)
        c = ops.where(keep, c, c_before)
        gates = ops.cast(ops.concatenate([i, f, g, o], axis=-1), h.dtype)
        # `ops.scan` wants outputs of the carry's structure: the gates travel along as a third part.
        carry = (h, c, gates)
        return carry, carry

    @ops.custom_gradient
    def run(z, mask, recurrent_kernel, projection_kernel, h0, c0):
        (h_last, c_last, _), (h, c, gates) = ops.scan(
            functools.partial(forward_step, z, mask, recurrent_kernel, projection_kernel),
            (h0, c0, ops.concatenate([ops.cast(ops.zeros_like(c0), z.dtype)] * 4, axis=-1)),
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
        to_gates = ops.transpose(recurrent_kernel)  # (4H, P)
        to_hidden = ops.transpose(projection_kernel)  # (P, H)

        def backward_step(carry, t):
            dh, dc = carry[0], carry[1]
            mask32 = ops.cast(mask[t], "float32")
            i, f, g, o = ops.split(ops.cast(gates[t], "float32"), 4, axis=-1)
            dh = dh + ops.cast(dh_all[t], "float32")  # (B, P)
            d_projected = dh * mask32
            if projection_clip is not None:
                d_projected = d_projected * ops.cast(inside(h[t], projection_clip), "float32")
            d_projected = ops.cast(d_projected, dtype)
            d_hidden = ops.cast(ops.matmul(d_projected, to_hidden), "float32")  # (B, H)
            tanh_c = ops.tanh(c[t])
            d_cell = dc * mask32 + d_hidden * o * (1.0 - ops.square(tanh_c))
            if cell_clip is not None:
                d_cell = d_cell * inside(c[t], cell_clip)
            d_gates = ops.concatenate(
                [
                    d_cell * g * i * (1.0 - i),
                    d_cell * c_before[t] * f * (1.0 - f),
                    d_cell * i * (1.0 - ops.square(g)),
                    d_hidden * tanh_c * o * (1.0 - o),
                ],
                axis=-1,
            )
            # (B, 4H), zero at padding since d_cell and d_hidden are.
            d_gates = ops.cast(d_gates, dtype)
            recurrent = ops.cast(ops.matmul(d_gates, to_gates), "float32")
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
        o = ops.cast(gates[:, :, -c.shape[-1] :], "float32")
        hidden = ops.cast(o * ops.tanh(c), dtype)
        return (
            d_gates,
            ops.zeros_like(mask),
            _outer_sum(h_before, d_gates),
            _outer_sum(hidden, d_projected),
            ops.cast(dh0, dtype),
            dc0,
        )

    return run(z, mask, recurrent_kernel, projection_kernel, h0, c0)


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
