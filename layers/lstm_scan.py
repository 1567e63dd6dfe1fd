"""The recurrence of a projected LSTM with its gradient written out.

Automatic differentiation of the loop would add up the gradient of each weight matrix step by step;
those matrices are the largest arrays here, so reading and writing them at every step costs more
than the rest. The written-out gradient keeps the gates' gradients of all steps and takes each
weight's in one product.
"""

from keras import backend, ops

from .lstm_layout import FEATURES_FIRST, ROWS_FIRST


def lstm_scan(
    x,
    mask,
    kernel,
    bias,
    recurrent_kernel,
    projection_kernel,
    h0,
    c0,
    *,
    cell_clip,
    projection_clip,
    reverse,
):
    """Runs the recurrence over axis 0.

    Shapes: L steps, B batch, D input features, H units, P projection.

    Args:
        x: (L, B, D). Inputs in the compute dtype, as is all but the bias and the cell.
        mask: (L, B), 1 at tokens, 0 at padding; or None.
        kernel: (D, 4H), blocks i, f, c, o. bias: (4H,) float32, every bias added up.
        recurrent_kernel: (P, 4H). projection_kernel: (H, P).
        h0: (B, P). c0: (B, H) float32.
        cell_clip, projection_clip: float or None.
        reverse: bool. Read from L - 1 down to 0.

    Returns:
        States after each step (L, B, P), in the order of `x`; last output (B, P); last cell (B, H).
    """
    half = backend.standardize_dtype(x.dtype) in ("bfloat16", "float16")
    layout = FEATURES_FIRST if half else ROWS_FIRST
    options = {
        "layout": layout,
        "cell_clip": cell_clip,
        "projection_clip": projection_clip,
        "reverse": reverse,
    }

    @ops.custom_gradient
    def run(x, kernel, bias, recurrent_kernel, projection_kernel, h0, c0, *mask):
        one_mask = mask[0] if mask else None
        values = x, kernel, recurrent_kernel, projection_kernel, h0, c0, one_mask
        outputs, kept = _forward(bias, values, **options)

        def gradient(*upstream):
            # TensorFlow hands the upstream gradients over one by one, JAX as one tuple.
            upstream = upstream[0] if len(upstream) == 1 else upstream
            gradients = _backward(kept, upstream, values, **options)
            return (*gradients, *(ops.zeros_like(each) for each in mask))

        return outputs, gradient

    h, h_last, c_last = run(
        layout.turn(x),
        kernel,
        bias,
        recurrent_kernel,
        projection_kernel,
        layout.turn(h0),
        layout.turn(c0),
        *([] if mask is None else [layout.turn(mask[:, :, None])]),
    )
    return layout.turn(h), layout.turn(h_last), layout.turn(c_last)


# The scans run over the step's number alone, and each step takes its slices itself: Keras's scan on
# TensorFlow needs a known length as soon as it is given more than one tensor. What a step reads
# comes as an argument: a function with its own gradient must not close over values that JAX
# differentiates. Below, "(B, H)" stands for (H, B) where features are first.


def _forward(bias, values, *, layout, cell_clip, projection_clip, reverse):
    x, kernel, recurrent_kernel, projection_kernel, h0, c0, mask = values
    recur, project = layout.recur(recurrent_kernel), layout.multiply_by(projection_kernel)
    inputs = layout.project_inputs(x, kernel)  # (L, B, 4H) in one array or four
    biases = layout.parts(layout.bias(bias, h0))

    def step(carry, t):
        h_before, c_before = carry[0], carry[1]
        parts = zip(inputs, recur, biases, strict=True)
        sums = [_single(z[t] + product(h_before)) + bias for z, product, bias in parts]
        i, f, g, o = layout.gates(sums)  # each (B, H)
        i, f, g, o = ops.sigmoid(i), ops.sigmoid(f), ops.tanh(g), ops.sigmoid(o)
        c = _clip(f * c_before + i * g, cell_clip)
        hidden = ops.cast(o * ops.tanh(c), h_before.dtype)
        h = _clip(project(hidden), projection_clip)
        if mask is not None:
            keep = ops.cast(mask[t], "bool")
            h = ops.where(keep, h, h_before)
            c = ops.where(keep, c, c_before)
        # `ops.scan` wants outputs of the carry's structure: the gates travel along in it.
        carry = (h, c, *(ops.cast(gate, h.dtype) for gate in (i, f, g, o)))
        return carry, carry

    gates = [ops.cast(ops.zeros_like(c0), x.dtype)] * 4
    (h_last, c_last, *_), (h, c, *gates) = ops.scan(
        step, (h0, c0, *gates), xs=ops.arange(ops.shape(x)[0]), reverse=reverse
    )
    return (h, h_last, c_last), (h, c, *gates)


def _backward(kept, upstream, values, *, layout, cell_clip, projection_clip, reverse):
    x, kernel, recurrent_kernel, projection_kernel, h0, c0, mask = values
    h, c, *gates = kept
    dh_all, dh_last, dc_last = upstream
    h_before, c_before = _shift(h, h0, reverse), _shift(c, c0, reverse)
    dtype = h.dtype
    to_output = layout.multiply_by_transposed(recurrent_kernel)  # (B, 4H) -> (B, P)
    to_hidden = layout.multiply_by_transposed(projection_kernel)  # (B, P) -> (B, H)

    def step(carry, t):
        dh, dc = carry[0], carry[1]
        i, f, g, o = (_single(gate[t]) for gate in gates)
        dh = dh + _single(dh_all[t])  # (B, P)
        d_projected, d_cell = dh, dc
        if mask is not None:
            present = _single(mask[t])
            d_projected, d_cell = dh * present, dc * present
        if projection_clip is not None:
            d_projected = d_projected * _single(_inside(h[t], projection_clip))
        d_projected = ops.cast(d_projected, dtype)
        d_hidden = _single(to_hidden(d_projected))  # (B, H)
        tanh_c = ops.tanh(c[t])
        d_cell = d_cell + d_hidden * o * (1.0 - ops.square(tanh_c))
        if cell_clip is not None:
            d_cell = d_cell * _inside(c[t], cell_clip)
        d_gates = (
            d_cell * g * i * (1.0 - i),
            d_cell * c_before[t] * f * (1.0 - f),
            d_cell * i * (1.0 - ops.square(g)),
            d_hidden * tanh_c * o * (1.0 - o),
        )
        # (B, 4H), zero at padding since d_cell and d_hidden are.
        d_gates = ops.concatenate([ops.cast(each, dtype) for each in d_gates], axis=layout.axis)
        dh_before, dc_before = _single(to_output(d_gates)), d_cell * f
        if mask is not None:  # padding hands on what comes to it
            dh_before = dh_before + dh * (1.0 - present)
            dc_before = dc_before + dc * (1.0 - present)
        carry = (dh_before, dc_before, d_gates, d_projected)
        return carry, carry

    no_gates = [ops.cast(ops.zeros_like(dc_last), dtype)] * 4
    start = (
        _single(dh_last),
        _single(dc_last),
        ops.concatenate(no_gates, axis=layout.axis),
        ops.cast(ops.zeros_like(dh_last), dtype),
    )
    steps = ops.arange(ops.shape(h)[0])
    (dh0, dc0, _, _), (_, _, d_gates, d_projected) = ops.scan(
        step, start, xs=steps, reverse=not reverse
    )
    hidden = ops.cast(_single(gates[3]) * ops.tanh(c), dtype)
    dz = layout.stacked(d_gates)
    return (
        layout.unstacked(layout.multiply_by_transposed(kernel)(dz), x),
        layout.outer_sum(layout.stacked(x), dz),
        layout.sum_of_rows(dz),
        layout.outer_sum(layout.stacked(h_before), dz),
        layout.outer_sum(layout.stacked(hidden), layout.stacked(d_projected)),
        ops.cast(dh0, dtype),
        dc0,
    )


def _single(x):
    return ops.cast(x, "float32")


def _clip(x, limit):
    return x if limit is None else ops.clip(x, -limit, limit)


def _inside(x, limit):
    return ops.cast(ops.abs(x) < limit, x.dtype)


def _shift(states, first, reverse):
    """The state before each step: `states` moved by one step, the initial state at the start."""
    if reverse:
        return ops.concatenate([states[1:], first[None]], axis=0)
    return ops.concatenate([first[None], states[:-1]], axis=0)
