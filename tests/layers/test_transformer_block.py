import json

import keras
import numpy as np
import pytest

from polysemy.layers import TransformerBlock, causal_attention_mask, padding_attention_mask


def random(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


@pytest.mark.parametrize("norm", ["post", "pre"])
def test_layer(check_layer, norm):
    mask = np.arange(5) < np.array([[5], [2], [4]])
    inputs = {"x": random(3, 5, 6), "attention_mask": np.tile(mask[:, None], (1, 5, 1))}
    settings = {"num_heads": 2, "intermediate_dim": 8, "norm": norm, "dropout": 0.1}
    check_layer(TransformerBlock, settings, inputs, (3, 5, 6), num_weights=12, half_tolerance=0.03)


def test_decoder_block(check_layer):
    inputs = {"x": random(3, 5, 6), "encoded": random(3, 4, 7)}
    settings = {
        "num_heads": 2, "intermediate_dim": 8, "activation": "relu", "cross_attention": True,
        "head_dim": 4, "use_bias": False, "layer_norm_epsilon": 1e-5,
    }  # fmt: skip
    shapes = [(3, 5, 6), (3, 2, 5, 5), (3, 2, 5, 4)]
    check_layer(
        TransformerBlock, settings, inputs, shapes, num_weights=15, half_tolerance=0.03,
        compute_dtype_outputs=False, return_attention=True,
    )  # fmt: skip


def norm_formula(x, norm, epsilon):
    gamma, beta = (w.astype("float64") for w in norm.get_weights())
    x = x - x.mean(-1, keepdims=True)
    return x / np.sqrt((x**2).mean(-1, keepdims=True) + epsilon) * gamma + beta


@pytest.mark.parametrize("norm", ["post", "pre"])
def test_order_of_residuals_and_norms(randomize, norm):
    """The sublayers have formulas of their own; here is how the block puts them together."""
    block = TransformerBlock(2, 8, norm=norm, cross_attention=True, layer_norm_epsilon=1e-3)
    x, encoded = random(2, 5, 6), random(2, 3, 6, seed=1)
    block(x, encoded=encoded)
    randomize(block)
    sublayers = (
        (block.self_attention, block.self_attention_norm),
        (lambda y: block.cross_attention(y, encoded), block.cross_attention_norm),
        (block.feed_forward, block.feed_forward_norm),
    )
    y = x.astype("float64")
    for sublayer, layer_norm in sublayers:
        if norm == "post":
            y = norm_formula(y + np.array(sublayer(y.astype("float32"))), layer_norm, 1e-3)
        else:
            normed = norm_formula(y, layer_norm, 1e-3).astype("float32")
            y = y + np.array(sublayer(normed))
    np.testing.assert_allclose(block(x, encoded=encoded), y, atol=1e-5)


@pytest.mark.parametrize("norm", ["post", "pre"])
def test_padding_and_later_tokens_change_nothing(randomize, norm):
    block = TransformerBlock(2, 8, norm=norm)
    x = random(2, 5, 6)
    block(x)
    randomize(block)
    mask = np.arange(5) < np.array([[3], [5]])
    other = np.where(mask[:, :, None], x, 9.0)
    found = [np.array(block(y, attention_mask=padding_attention_mask(mask))) for y in (x, other)]
    np.testing.assert_allclose(found[0][mask], found[1][mask], atol=1e-5)
    causal = causal_attention_mask(5, 5)
    later = np.concatenate([x[:, :2], x[:, 2:] + 1], axis=1)
    found = [np.array(block(y, attention_mask=causal)) for y in (x, later)]
    np.testing.assert_allclose(found[0][:, :2], found[1][:, :2], atol=1e-5)
    assert np.abs(found[0][:, 2:] - found[1][:, 2:]).max() > 1e-2


def test_dropout_comes_before_each_residual_addition():
    """With everything dropped but the residual, pre-norm hands its input on."""
    block = TransformerBlock(2, 8, norm="pre", dropout=0.999999, seed=1)
    x = random(2, 5, 6)
    np.testing.assert_allclose(block(x, training=True), x, atol=1e-6)
    assert np.abs(np.array(block(x)) - x).max() > 1e-2


def test_dropout_keeps_the_mean(randomize):
    block = TransformerBlock(2, 8, norm="pre", dropout=0.5, seed=1)
    x = random(1, 1, 6)
    block(x)
    randomize(block, 0.1)
    many = np.repeat(x, 4_000, axis=0)
    attended = x + np.array(block.self_attention(block.self_attention_norm(x)))
    block.feed_forward.set_weights([0 * w for w in block.feed_forward.get_weights()])
    found = np.array(block(many, training=True))
    np.testing.assert_allclose(found.mean(0), attended[0], atol=0.05)
    assert len(np.unique(np.round(found[:, 0, 0], 4))) == 2  # kept or dropped


def test_initializers():
    block = TransformerBlock(
        2,
        400,
        kernel_initializer=keras.initializers.RandomNormal(stddev=0.02),
        residual_initializer=keras.initializers.RandomNormal(stddev=0.02 / (2 * 12) ** 0.5),
    )
    block.build((None, None, 100))
    deviations = {w.path.split("/", 1)[1]: np.std(w) for w in block.weights if "kernel" in w.path}
    for path, deviation in deviations.items():
        expected = 0.02 / 24**0.5 if "output_kernel" in path else 0.02
        assert abs(deviation - expected) < 0.05 * expected, path
    assert len(deviations) == 4


def test_variables_have_stable_names():
    block = TransformerBlock(2, 8, name="layer_0")
    block.build((None, None, 6))
    assert [w.path for w in block.weights] == [
        f"layer_0/{name}"
        for name in (
            "self_attention/qkv_kernel", "self_attention/qkv_bias",
            "self_attention/output_kernel", "self_attention/output_bias",
            "self_attention_norm/gamma", "self_attention_norm/beta",
            "feed_forward/kernel", "feed_forward/bias",
            "feed_forward/output_kernel", "feed_forward/output_bias",
            "feed_forward_norm/gamma", "feed_forward_norm/beta",
        )
    ]  # fmt: skip


def test_a_seeded_block_is_repeatable():
    config = json.loads(json.dumps(TransformerBlock(2, 8, dropout=0.3, seed=5).get_config()))
    x, weights, found = random(2, 5, 6), None, []
    for _ in range(2):
        block = TransformerBlock.from_config(config)
        block(x)
        weights = weights or block.get_weights()
        block.set_weights(weights)
        found.append(np.array(block(x, training=True)))
    np.testing.assert_array_equal(*found)


def test_arguments_are_checked():
    with pytest.raises(ValueError, match='`norm` must be "post" or "pre". Received: norm=.middle'):
        TransformerBlock(2, 8, norm="middle")
    with pytest.raises(ValueError, match=r"`dropout` must be in \[0, 1\). Received: dropout=2"):
        TransformerBlock(2, 8, dropout=2)
    with pytest.raises(ValueError, match=r"divisible by `num_heads`.*\(2, 5, 6\), num_heads=4"):
        TransformerBlock(4, 8)(random(2, 5, 6))
