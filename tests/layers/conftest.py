"""What every layer of Polysemy must do, as one check, and the LSTM's formula in numpy."""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf


def _check_layer(
    layer_class,
    kwargs,
    inputs,
    output_shape,
    num_weights,
    *,
    path,
    length_axis=1,
    half_tolerance=0.02,
    compute_dtype_outputs=True,
    jit_compile=True,
    **call_kwargs,
):
    """Builds, traces, saves, differentiates and pads a layer. Returns it with random weights.

    Args:
        layer_class: the class. kwargs: dict. Of its constructor.
        inputs: dict of arrays by the name of the call argument; axis 0 is the batch. Floats and
            integers are numpy's, `padding_mask` is bool (B, L).
        output_shape: shape of the output, or a list of shapes in the order of `keras.tree.flatten`.
        num_weights: int.
        path: where to save a model of this layer, `….keras`.
        length_axis: int. The axis of L in `inputs["inputs"]`; 1 in all others.
        half_tolerance: float. Allowed difference in half precision, relative to the largest value.
        compute_dtype_outputs: bool. Whether all float outputs are in the compute dtype.
        jit_compile: bool. Whether to compile the layer by XLA as well.
        call_kwargs: further arguments of the call that are no tensors.
    """
    layer = layer_class(**kwargs)

    def call(**tensors):
        return keras.tree.flatten(layer(**tensors, **call_kwargs))

    shapes = [output_shape] if isinstance(output_shape, tuple) else output_shape
    assert [tuple(x.shape) for x in call(**inputs)] == shapes
    assert len(layer.weights) == num_weights
    layer.set_weights(_random_like(layer.get_weights()))
    expected = [np.array(x) for x in call(**inputs)]

    traced = tf.function(call, autograph=False)
    _assert_close(traced(**inputs), expected, 1e-5)
    if jit_compile:
        compiled = tf.function(call, autograph=False, jit_compile=True)
        _assert_close(compiled(**inputs), expected, 1e-5)
    free = {name: _free_shape(name, x, length_axis) for name, x in inputs.items()}
    specs = {name: tf.TensorSpec(shape, inputs[name].dtype) for name, shape in free.items()}
    unknown = tf.function(call, autograph=False).get_concrete_function(**specs)
    _assert_close(unknown(**{k: tf.constant(v) for k, v in inputs.items()}), expected, 1e-5)

    _check_config(layer)
    _check_symbolic_and_saving(layer, inputs, free, expected, call_kwargs, path)
    _check_half_precision(layer, kwargs, inputs, expected, call_kwargs, half_tolerance,
                          compute_dtype_outputs)  # fmt: skip
    _check_gradients(layer, call, inputs)
    if "padding_mask" in inputs:
        _check_padding(call, inputs, expected, length_axis)
    return layer


def _random_like(weights, scale=0.5):
    rng = np.random.default_rng(7)
    return [(w + scale * rng.normal(size=w.shape)).astype(w.dtype) for w in weights]


def _assert_close(found, expected, tolerance):
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=tolerance, atol=tolerance)


def _free_shape(name, x, length_axis):
    axis = length_axis if name == "inputs" else 1
    return [None if i in (0, axis) else size for i, size in enumerate(x.shape)]


def _check_config(layer):
    config = json.loads(json.dumps(layer.get_config()))
    assert type(layer).from_config(config).get_config() == layer.get_config()
    assert keras.saving.get_registered_name(type(layer)) == f"polysemy>{type(layer).__name__}"


def _check_symbolic_and_saving(layer, inputs, free, expected, call_kwargs, path):
    symbols = {
        name: keras.Input(shape[1:], dtype=str(inputs[name].dtype), name=name)
        for name, shape in free.items()
    }
    outputs = keras.tree.flatten(layer(**symbols, **call_kwargs))
    model = keras.Model(symbols, outputs)
    for symbol, value in zip(outputs, expected, strict=True):
        assert symbol.dtype == str(value.dtype)
        assert len(symbol.shape) == value.ndim
        for size, actual in zip(symbol.shape, value.shape, strict=True):
            assert size in (None, actual)
    _assert_close(keras.tree.flatten(model(inputs)), expected, 1e-5)
    model.save(path)
    loaded = keras.saving.load_model(path)
    _assert_close(keras.tree.flatten(loaded(inputs)), expected, 1e-6)


def _check_half_precision(
    layer, kwargs, inputs, expected, call_kwargs, tolerance, in_compute_dtype
):
    for policy, dtype in (("mixed_bfloat16", "bfloat16"), ("mixed_float16", "float16")):
        half = type(layer)(**kwargs, dtype=policy)
        half(**inputs, **call_kwargs)
        half.set_weights(layer.get_weights())
        found = keras.tree.flatten(half(**inputs, **call_kwargs))
        for one, other in zip(found, expected, strict=True):
            if not np.issubdtype(other.dtype, np.floating):
                np.testing.assert_array_equal(one, other)
                continue
            if in_compute_dtype:
                assert one.dtype == dtype
            one = np.array(one).astype("float32")
            assert np.isfinite(one).all()
            scale = np.abs(other).max(initial=0.0)
            np.testing.assert_allclose(one, other, rtol=0, atol=tolerance * scale)


def _check_gradients(layer, call, inputs):
    if not layer.trainable_weights:
        return
    rng = np.random.default_rng(8)
    with tf.GradientTape() as tape:
        outputs = [x for x in call(**inputs) if x.dtype.is_floating]
        loss = tf.add_n([tf.reduce_sum(x * tf.cast(rng.normal(size=x.shape), x.dtype))
                         for x in outputs])  # fmt: skip
    gradients = tape.gradient(loss, [w.value for w in layer.trainable_weights])
    for weight, gradient in zip(layer.trainable_weights, gradients, strict=True):
        assert gradient is not None, weight.path
        assert np.abs(tf.convert_to_tensor(gradient)).max() > 0, weight.path


def _check_padding(call, inputs, expected, length_axis):
    """Other values at padding, and more padding, change nothing; padding comes out as zero."""
    mask = inputs["padding_mask"]
    assert not mask.all(), "the check needs padding"
    changed, longer = {}, {}
    for name, x in inputs.items():
        axis = length_axis if name == "inputs" else 1
        spread = _spread(mask, x, axis)
        other = ~x if x.dtype == bool else x + 1
        changed[name] = mask if name == "padding_mask" else np.where(spread, x, other)
        pad = [(0, 0)] * x.ndim
        pad[axis] = (0, 2)
        longer[name] = np.pad(x, pad)
    for found in (call(**changed), call(**longer)):
        for one, other in zip(found, expected, strict=True):
            one = np.array(one)
            if one.shape != other.shape:  # the longer one, of a sequence
                one = one[:, : other.shape[1]]
            np.testing.assert_allclose(one, other, atol=1e-6)
            if other.shape[1] == mask.shape[1]:
                assert not other[~mask].any()


def _spread(mask, x, axis):
    """`mask` (B, L) with axes of size 1 wherever `x` has others."""
    shape = [1] * x.ndim
    shape[0], shape[axis] = mask.shape
    return mask.reshape(shape)


def _lstm_formula(layer, x, lengths, h0=None, c0=None):
    """`ProjectedLSTM` in float64, row by row: read backwards, a row is turned by its true length.

    Args:
        layer: dict with `weights` (kernel, recurrent, bias, projection) and the settings.
        x: (B, L, D). lengths: (B,). h0: (B, P). c0: (B, H).

    Returns:
        outputs (B, L, P), last output (B, P), last cell (B, H).
    """
    kernel, recurrent, bias, projection = (np.asarray(w, "float64") for w in layer["weights"])
    units, dim = projection.shape
    x = np.asarray(x, "float64")
    outputs = np.zeros((*x.shape[:2], dim))
    last_h = np.zeros((len(x), dim)) if h0 is None else np.array(h0, "float64")
    last_c = np.zeros((len(x), units)) if c0 is None else np.array(c0, "float64")

    def sigmoid(value):
        return 1 / (1 + np.exp(-value))

    def clip(value, limit):
        return value if limit is None else np.clip(value, -limit, limit)

    for row, length in enumerate(lengths):
        h, c = last_h[row], last_c[row]
        steps = range(length)
        for t in reversed(steps) if layer.get("go_backwards") else steps:
            i, f, g, o = np.split(x[row, t] @ kernel + h @ recurrent + bias, 4)
            c = sigmoid(f + layer.get("forget_bias", 1.0)) * c + sigmoid(i) * np.tanh(g)
            c = clip(c, layer.get("cell_clip"))
            h = clip((sigmoid(o) * np.tanh(c)) @ projection, layer.get("projection_clip"))
            outputs[row, t] = h + (x[row, t] if layer.get("residual") else 0)
        last_h[row], last_c[row] = h, c
    return outputs, last_h, last_c


@pytest.fixture
def check_layer(tmp_path):
    """See `_check_layer`."""

    def check(*args, **kwargs):
        return _check_layer(*args, path=tmp_path / "model.keras", **kwargs)

    return check


@pytest.fixture
def lstm_formula():
    """See `_lstm_formula`."""
    return _lstm_formula


@pytest.fixture
def randomize():
    """Gives a built layer random weights around those it started with."""
    return lambda layer, scale=0.5: layer.set_weights(_random_like(layer.get_weights(), scale))
