import keras
import numpy as np
import pytest
import tensorflow as tf

from polysemy.layers.projected_lstm import ProjectedLSTM

LENGTHS = [5, 0, 2, 4]
MASK = np.arange(5) < np.array(LENGTHS)[:, None]
SETTINGS = [  # with the random weights below both clips are met, and not always
    {},
    {"go_backwards": True},
    {"cell_clip": 0.5, "projection_clip": 0.3},
    {"cell_clip": 0.5, "projection_clip": 0.3, "go_backwards": True, "residual": True},
    {"forget_bias": -0.5, "residual": True},
]


def random_lstm(randomize, scale=0.8, **settings):
    layer = ProjectedLSTM(6, 3, return_state=True, **settings)
    layer.build((None, None, 3))
    randomize(layer, scale)
    return layer


def random_inputs():
    rng = np.random.default_rng(0)
    shapes = (4, 5, 3), (4, 3), (4, 6)  # x, output and cell to begin with
    return [rng.normal(size=shape).astype("float32") for shape in shapes]


def formula_arguments(layer):
    names = "cell_clip projection_clip forget_bias residual go_backwards".split()
    weights = [w.astype("float64") for w in layer.get_weights()]
    return {"weights": weights, **{name: getattr(layer, name) for name in names}}


@pytest.mark.parametrize("dtype", ["float32", "mixed_bfloat16"])
def test_the_mask_that_keras_keeps(randomize, dtype):
    """Of `Embedding(mask_zero=True)`: read, and handed on."""
    embed = keras.layers.Embedding(7, 3, "normal", mask_zero=True, dtype=dtype)
    layer = random_lstm(randomize, go_backwards=True, dtype=dtype)
    ids = np.array([[3, 4, 0, 0], [1, 2, 3, 4]])
    outputs, short = layer(embed(ids))[0], layer(embed(ids[:1, :2]))[0]
    tolerance = 1e-6 if dtype == "float32" else 0.02
    a, b = (np.array(x).astype("float32") for x in (outputs[:1, :2], short))
    np.testing.assert_allclose(a, b, atol=tolerance)
    np.testing.assert_array_equal(outputs._keras_mask, ids > 0)


@pytest.mark.parametrize("settings", [SETTINGS[1], SETTINGS[2], SETTINGS[4]])
def test_layer(check_layer, settings):
    check_layer(
        ProjectedLSTM,
        {"units": 6, "projection_dim": 3, **settings},
        {"inputs": random_inputs()[0], "padding_mask": MASK},
        (4, 5, 3),
        num_weights=4,
    )


def test_layer_with_states(check_layer):
    check_layer(
        ProjectedLSTM,
        {"units": 6, "projection_dim": 3, "return_state": True},
        {"inputs": random_inputs()[0], "padding_mask": MASK},
        [(4, 5, 3), (4, 3), (4, 6)],
        num_weights=4,
        compute_dtype_outputs=False,  # the cell stays in float32
    )


@pytest.mark.parametrize("settings", SETTINGS)
@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("given_state", [False, True])
def test_formula(randomize, lstm_formula, settings, masked, given_state):
    layer = random_lstm(randomize, **settings)
    x, *state = random_inputs()
    found = layer(
        x,
        padding_mask=MASK if masked else None,
        initial_state=state if given_state else None,
    )
    lengths = LENGTHS if masked else [5] * 4
    arguments = formula_arguments(layer)
    expected = lstm_formula(arguments, x, lengths, *(state if given_state else ()))
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)
    if layer.cell_clip:  # the test would not see a clip that nothing meets
        assert np.any(np.abs(expected[2]) == 0.5) and np.any(np.abs(expected[2]) < 0.5)
        assert np.any(np.abs(expected[1]) == 0.3) and np.any(np.abs(expected[1]) < 0.3)


@pytest.mark.parametrize("settings", SETTINGS)
@pytest.mark.parametrize("masked", [False, True])
def test_gradients_against_finite_differences(randomize, lstm_formula, settings, masked):
    """The backward pass is written by hand: every single derivative is checked."""
    layer = random_lstm(randomize, **settings)
    x, h0, c0 = random_inputs()
    lengths = LENGTHS if masked else [5] * 4
    rng = np.random.default_rng(5)
    cotangents = [rng.normal(size=shape) for shape in ((4, 5, 3), (4, 3), (4, 6))]
    arguments = formula_arguments(layer)

    @tf.function
    def gradients(*tensors):
        with tf.GradientTape() as tape:
            tape.watch(tensors)
            outputs = layer(
                tensors[0],
                padding_mask=MASK if masked else None,
                initial_state=tensors[1:],
            )
            loss = tf.add_n(
                [
                    tf.reduce_sum(y * tf.cast(d, y.dtype))
                    for y, d in zip(outputs, cotangents, strict=True)
                ]
            )
        return tape.gradient(loss, [*tensors, *(w.value for w in layer.weights)])

    variables = [x.astype("float64"), h0.astype("float64"), c0.astype("float64")]
    variables += arguments["weights"]  # changed in place below

    def loss():
        outputs = lstm_formula(arguments, variables[0], lengths, *variables[1:3])
        return sum((y * d).sum() for y, d in zip(outputs, cotangents, strict=True))

    for found, variable in zip(gradients(*map(tf.constant, (x, h0, c0))), variables, strict=True):
        expected = np.zeros_like(variable)
        for i in np.ndindex(variable.shape):
            value = variable[i]
            variable[i] = value + 1e-6
            above = loss()
            variable[i] = value - 1e-6
            expected[i] = (above - loss()) / 2e-6
            variable[i] = value
        np.testing.assert_allclose(found, expected, atol=2e-5, rtol=2e-5)


def test_last_output_is_without_the_residual(randomize):
    layer = random_lstm(randomize, residual=True)
    x, *_ = random_inputs()
    outputs, last, _ = layer(x)
    np.testing.assert_allclose(outputs[:, -1] - x[:, -1], last, atol=1e-6)


@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16"])
def test_two_halves_are_the_whole(randomize, policy):
    """The state handed on is all that a later call needs, in half precision too."""
    layer = random_lstm(randomize, dtype=policy, cell_clip=3.0)
    x, *_ = random_inputs()
    x = np.concatenate([x, x[:, ::-1]], axis=1)
    whole, *state = layer(x)
    assert state[1].dtype == "float32"
    first, *between = layer(x[:, :4])
    second, *last = layer(x[:, 4:], initial_state=between)
    np.testing.assert_array_equal(np.concatenate([first, second], axis=1), whole)
    for one, other in zip(last, state, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("shape", [(0, 5, 3), (2, 0, 3)])
def test_nothing_to_read(randomize, shape):
    layer = random_lstm(randomize)
    outputs, last, cell = layer(np.zeros(shape, "float32"))
    assert [tuple(y.shape) for y in (outputs, last, cell)] == [shape, (shape[0], 3), (shape[0], 6)]
    assert not np.array(last).any()


def test_arguments_are_checked():
    with pytest.raises(ValueError, match="`units` must be at least 1. Received: units=0"):
        ProjectedLSTM(0, 3)
    with pytest.raises(ValueError, match="`cell_clip` must be positive or None. Received: cell_cl"):
        ProjectedLSTM(4, 3, cell_clip=0)
    with pytest.raises(ValueError, match="`projection_dim` must equal .* projection_dim=2, inputs"):
        ProjectedLSTM(4, 2, residual=True)(np.zeros((1, 2, 3)))
