import keras
import numpy as np
import pytest
import tensorflow as tf

from polysemy.layers.bidirectional_lm import DIRECTIONS, BidirectionalLM

CONFIG = {"num_layers": 2, "hidden_dim": 6, "projection_dim": 3}
LENGTHS = [5, 0, 2, 4]
MASK = np.arange(5) < np.array(LENGTHS)[:, None]


def random_inputs(length=5, seed=0):
    return np.random.default_rng(seed).normal(size=(4, length, 4)).astype("float32")


def random_lm(randomize, **settings):
    lm = BidirectionalLM(**CONFIG, **settings)
    lm.build((None, None, 4))
    randomize(lm)
    if lm.stateful:
        lm.reset_states()
    return lm


def numpy_outputs(outputs):
    return {name: [np.array(x) for x in layers] for name, layers in outputs.items()}


def assert_outputs_equal(found, expected, atol=1e-6):
    for direction in DIRECTIONS:
        for one, other in zip(found[direction], expected[direction], strict=True):
            np.testing.assert_allclose(one, other, atol=atol)


@pytest.mark.parametrize("reverse", [False, True])
def test_layer(check_layer, reverse):
    inputs = {"inputs": random_inputs(), "padding_mask": MASK}
    if reverse:
        inputs["reverse_inputs"] = random_inputs(seed=1)
    check_layer(
        BidirectionalLM,
        {**CONFIG, "cell_clip": 3.0, "projection_clip": 3.0},
        inputs,
        [(4, 5, 3)] * 4,
        num_weights=16,
        jit_compile=not reverse,  # the same loops: once is enough
    )


@pytest.mark.parametrize("residual", [False, True])
def test_formula(randomize, lstm_formula, residual):
    lm = random_lm(randomize, residual=residual, cell_clip=0.6, projection_clip=0.3)
    x, y = random_inputs(), random_inputs(seed=1)
    found = lm(x, padding_mask=MASK)
    turned = lm(x, reverse_inputs=y, padding_mask=MASK)
    for direction in DIRECTIONS:
        expected, from_y = x, y
        for i in range(2):
            arguments = {
                "weights": [w.astype("float64") for w in lm.lstm(direction, i).get_weights()],
                "residual": residual and i > 0,
                "cell_clip": 0.6,
                "projection_clip": 0.3,
            }
            backwards = {"go_backwards": direction == "backward"}
            expected, *_ = lstm_formula({**arguments, **backwards}, expected, LENGTHS)
            np.testing.assert_allclose(found[direction][i], expected, atol=1e-5)
            # What was turned beforehand is read left to right, by the backward stack too.
            from_y, *_ = lstm_formula(arguments, from_y, LENGTHS)
            if direction == "backward":
                np.testing.assert_allclose(turned[direction][i], from_y, atol=1e-5)
            else:
                np.testing.assert_array_equal(turned[direction][i], found[direction][i])


def test_reversed_text_is_the_same_text(randomize):
    lm, x = random_lm(randomize), random_inputs()
    reverse = numpy_outputs(lm(x, reverse_inputs=x[:, ::-1]))
    reverse["backward"] = [y[:, ::-1] for y in reverse["backward"]]
    assert_outputs_equal(reverse, numpy_outputs(lm(x)))


def test_no_direction_sees_what_comes(randomize):
    lm, x = random_lm(randomize), random_inputs()
    before = numpy_outputs(lm(x))
    x[:, 2] += 1.0
    after = numpy_outputs(lm(x))
    for i in range(2):
        changed = {
            direction: np.abs(after[direction][i] - before[direction][i]).max(axis=(0, 2)) > 0
            for direction in DIRECTIONS
        }
        assert changed["forward"].tolist() == [False, False, True, True, True]
        assert changed["backward"].tolist() == [True, True, True, False, False]


def test_directions_share_no_weight(randomize):
    lm, x = random_lm(randomize), random_inputs()
    for direction, other in (DIRECTIONS, DIRECTIONS[::-1]):
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(tf.stack(lm(x)[direction]))
        mine = [w.value for i in range(2) for w in lm.lstm(direction, i).weights]
        others = [w.value for i in range(2) for w in lm.lstm(other, i).weights]
        gradients = tape.gradient(loss, mine + others)
        assert all(np.abs(g).max() > 0 for g in gradients[:8])
        assert gradients[8:] == [None] * 8


@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16"])
def test_stateful_calls_go_on_where_the_last_stopped(randomize, policy):
    """Three short calls, as on packed rows of a long text, equal one long call."""
    settings = {"stateful": True, "state_batch_size": 4, "dtype": policy}
    lm = random_lm(randomize, **settings)
    x, y = random_inputs(9), random_inputs(9, seed=1)
    whole = numpy_outputs(lm(x, reverse_inputs=y))
    kept = [np.array(w) for w in lm.non_trainable_weights]
    assert len(kept) == 8 and all(np.abs(w).max() > 0 for w in kept)
    lm.reset_states()
    assert not any(np.array(w).any() for w in lm.non_trainable_weights)
    run = tf.function(lambda x, y: lm(x, reverse_inputs=y), reduce_retracing=True)
    parts = [numpy_outputs(run(x[:, i:j], y[:, i:j])) for i, j in ((0, 4), (4, 5), (5, 9))]
    joined = {
        direction: [np.concatenate(pieces, axis=1) for pieces in zip(*layers, strict=True)]
        for direction in DIRECTIONS
        for layers in [[part[direction] for part in parts]]
    }
    as_float = {d: [x.astype("float32") for x in layers] for d, layers in joined.items()}
    assert_outputs_equal(
        as_float, {d: [x.astype("float32") for x in layers] for d, layers in whole.items()}
    )
    for weight, value in zip(lm.non_trainable_weights, kept, strict=True):
        np.testing.assert_allclose(weight, value, atol=1e-6)


def test_stateless_calls_forget(randomize):
    lm, x = random_lm(randomize), random_inputs()
    assert_outputs_equal(numpy_outputs(lm(x)), numpy_outputs(lm(x)), atol=0)
    assert not lm.non_trainable_weights
    lm.reset_states()  # nothing to forget


def test_smaller_batch_leaves_the_other_rows_alone(randomize):
    lm = random_lm(randomize, stateful=True, state_batch_size=4)
    x = random_inputs()
    lm(x)
    before = [np.array(w) for w in lm.non_trainable_weights]
    lm(x[:3])
    for weight, old in zip(lm.non_trainable_weights, before, strict=True):
        assert np.all(np.any(np.array(weight)[:3] != old[:3], axis=1))
        np.testing.assert_array_equal(np.array(weight)[3:], old[3:])
    with pytest.raises(ValueError, match="more rows than `state_batch_size`. Received: inputs.sha"):
        lm(np.zeros((5, 2, 4), "float32"))


def test_padding_leaves_the_state_alone(randomize):
    lm = random_lm(randomize, stateful=True, state_batch_size=4)
    lm(random_inputs())
    before = [np.array(w) for w in lm.non_trainable_weights]
    lm(random_inputs(seed=1), padding_mask=MASK)
    for weight, old in zip(lm.non_trainable_weights, before, strict=True):
        same = np.all(np.array(weight) == old, axis=1)
        assert same.tolist() == [False, True, False, False]  # row 1 is empty


def test_stateful_layer_is_saved_with_its_state(randomize, tmp_path):
    lm = random_lm(randomize, stateful=True, state_batch_size=4)
    inputs = keras.Input((None, 4))
    model = keras.Model(inputs, lm(inputs))
    model.predict_on_batch(random_inputs())
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    x = random_inputs(seed=1)
    assert_outputs_equal(loaded.predict_on_batch(x), model.predict_on_batch(x), atol=0)
    layer = loaded.layers[-1]
    layer.reset_states()
    assert not any(np.array(w).any() for w in layer.non_trainable_weights)


def test_state_cuts_the_gradient(randomize):
    lm = random_lm(randomize, stateful=True, state_batch_size=4)
    first, second = tf.constant(random_inputs()), tf.constant(random_inputs(seed=1))
    with tf.GradientTape() as tape:
        tape.watch((first, second))
        lm(first)
        loss = tf.reduce_sum(lm(second)["forward"][-1])
    gradients = tape.gradient(loss, (first, second))
    assert gradients[0] is None
    assert np.abs(gradients[1]).max() > 0


def test_dropout_is_on_every_input_and_for_training_alone(randomize):
    lm, x = random_lm(randomize, dropout=0.5, seed=1), random_inputs()
    without = BidirectionalLM(**CONFIG)
    without.build(x.shape)
    without.set_weights(lm.get_weights())
    assert_outputs_equal(lm(x), without(x), atol=0)
    first, second = lm(x, training=True), lm(x, training=True)
    for direction in DIRECTIONS:
        assert np.abs(first[direction][0] - second[direction][0]).max() > 0
        above = lm.lstm(direction, 1)(first[direction][0])[0]
        assert np.abs(first[direction][1] - above).max() > 0


def test_arguments_are_checked():
    with pytest.raises(ValueError, match="`num_layers` must be at least 1. Received: num_layers=0"):
        BidirectionalLM(0, 4, 2)
    with pytest.raises(ValueError, match="`state_batch_size` must be .* state_batch_size=None"):
        BidirectionalLM(1, 4, 2, stateful=True)
    BidirectionalLM(1, 4, 2, stateful=True, state_batch_size=2).reset_states()  # before the build


def test_the_mask_that_keras_keeps(randomize):
    embed = keras.layers.Embedding(7, 4, "normal", mask_zero=True)
    lm = random_lm(randomize)
    ids = np.array([[3, 4, 0, 0], [1, 2, 3, 4]])
    outputs, short = lm(embed(ids)), lm(embed(ids[:1, :2]))
    for direction in DIRECTIONS:
        for found, expected in zip(outputs[direction], short[direction], strict=True):
            np.testing.assert_allclose(found[:1, :2], expected, atol=1e-6)
            np.testing.assert_array_equal(found._keras_mask, ids > 0)
