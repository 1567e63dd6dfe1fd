import keras
import numpy as np
import pytest

from polysemy.layers import MultiHeadAttention, causal_attention_mask, padding_attention_mask


def random(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def built(randomize, *shapes, **settings):
    layer = MultiHeadAttention(**{"num_heads": 2, **settings})
    layer.build(*((None, None, dim) for dim in shapes))
    randomize(layer)
    return layer


def formula(layer, query, value=None, mask=None):
    """Output and probabilities in float64, head by head."""
    weights = {w.name: np.array(w).astype("float64") for w in layer.weights}
    query = query.astype("float64")
    value = query if value is None else value.astype("float64")
    if "qkv_kernel" in weights:
        kernels = np.split(weights["qkv_kernel"], 3, axis=1)
        biases = np.split(weights["qkv_bias"], 3)
    else:
        kernels = [weights["query_kernel"], *np.split(weights["key_value_kernel"], 2, axis=1)]
        biases = [weights["query_bias"], *np.split(weights["key_value_bias"], 2)]
    size = kernels[0].shape[1] // layer.num_heads
    outputs, probabilities = [], []
    for h in range(layer.num_heads):
        columns = slice(h * size, (h + 1) * size)
        q, k, v = (
            x @ kernel[:, columns] + bias[columns]
            for x, kernel, bias in zip((query, value, value), kernels, biases, strict=True)
        )
        scores = q @ np.swapaxes(k, 1, 2) / np.sqrt(size)
        if mask is not None:
            scores = np.where(np.broadcast_to(mask, scores.shape), scores, -np.inf)
        p = np.exp(scores - scores.max(-1, keepdims=True))
        p /= p.sum(-1, keepdims=True)
        outputs.append(p @ v)
        probabilities.append(p)
    output = np.concatenate(outputs, -1) @ weights["output_kernel"] + weights["output_bias"]
    return output, np.stack(probabilities, 1)


def test_self_attention(check_layer):
    inputs = {"query": random(3, 5, 6), "attention_mask": np.tri(5, dtype=bool)[None].repeat(3, 0)}
    shapes = [(3, 5, 6), (3, 2, 5, 5)]
    check_layer(
        MultiHeadAttention, {"num_heads": 2, "dropout": 0.1}, inputs, shapes, num_weights=4,
        compute_dtype_outputs=False, return_attention=True,
    )  # fmt: skip


def test_cross_attention(check_layer):
    inputs = {"query": random(3, 5, 6), "value": random(3, 4, 7), "residual": random(3, 5, 6)}
    settings = {"num_heads": 2, "head_dim": 4, "use_bias": False}
    check_layer(MultiHeadAttention, settings, inputs, (3, 5, 6), num_weights=3)


def test_self_attention_formula(randomize):
    layer = built(randomize, 6)
    x, mask = random(3, 5, 6), np.random.default_rng(1).random((3, 5, 5)) < 0.6
    mask |= np.eye(5, dtype=bool)
    output, probabilities = layer(x, attention_mask=mask, return_attention=True)
    expected, expected_probabilities = formula(layer, x, mask=mask)
    np.testing.assert_allclose(output, expected, atol=2e-6)
    np.testing.assert_allclose(probabilities, expected_probabilities, atol=1e-6)
    np.testing.assert_allclose(layer(x), formula(layer, x)[0], atol=2e-6)
    np.testing.assert_allclose(layer(x, residual=x), formula(layer, x)[0] + x, atol=2e-6)


def test_cross_attention_formula(randomize):
    layer = built(randomize, 6, 7, head_dim=4)
    x, y = random(3, 5, 6), random(3, 4, 7, seed=1)
    mask = np.array([[1, 1, 1, 0], [1, 0, 0, 0], [1, 1, 1, 1]], bool)
    output, probabilities = layer(
        x, y, attention_mask=padding_attention_mask(mask), return_attention=True
    )
    expected, expected_probabilities = formula(layer, x, y, mask[:, None])
    np.testing.assert_allclose(output, expected, atol=2e-6)
    np.testing.assert_allclose(probabilities, expected_probabilities, atol=1e-6)
    assert probabilities.shape == (3, 2, 5, 4)


@pytest.mark.parametrize("dtype", ["float32", "mixed_bfloat16", "mixed_float16"])
def test_padding_changes_nothing(randomize, dtype):
    layer = built(randomize, 6, dtype=dtype)
    mask = np.arange(5) < np.array([[5], [2], [1]])
    x = random(3, 5, 6)
    expected = np.array(layer(x, attention_mask=padding_attention_mask(mask)))
    other = np.where(mask[:, :, None], x, 100.0)
    longer = np.pad(other, [(0, 0), (0, 3), (0, 0)], constant_values=-9.0)
    longer_mask = np.pad(mask, [(0, 0), (0, 3)])
    for inputs, padding in ((other, mask), (longer, longer_mask)):
        found = np.array(layer(inputs, attention_mask=padding_attention_mask(padding)))
        np.testing.assert_allclose(
            found[:, :5][mask].astype("float32"), expected[mask].astype("float32"), atol=1e-6
        )


def test_later_tokens_change_nothing_earlier(randomize):
    layer = built(randomize, 6)
    x = random(2, 5, 6)
    changed = np.concatenate([x[:, :3], random(2, 2, 6, seed=1)], axis=1)
    mask = causal_attention_mask(5, 5)
    first, second = (np.array(layer(y, attention_mask=mask)) for y in (x, changed))
    np.testing.assert_allclose(first[:, :3], second[:, :3], atol=1e-6)
    assert np.abs(first[:, 3:] - second[:, 3:]).min() > 1e-4


@pytest.mark.parametrize("dtype", ["float32", "mixed_bfloat16", "mixed_float16", "float16"])
def test_query_that_may_attend_to_nothing(randomize, dtype):
    layer = built(randomize, 6, dtype=dtype)
    mask = np.zeros((2, 4, 4), bool)
    mask[0, :, 1] = True
    output, p = layer(random(2, 4, 6), attention_mask=mask, return_attention=True)
    assert np.isfinite(np.array(output).astype("float32")).all()
    assert p.dtype == "float32"
    np.testing.assert_allclose(p[0], np.broadcast_to(np.eye(4)[1], (2, 4, 4)), atol=1e-6)
    np.testing.assert_allclose(np.sum(p, axis=-1), 1.0, atol=1e-5)


def test_dropout_is_of_the_probabilities(randomize):
    layer = built(randomize, 6, dropout=0.5, seed=3)
    x = random(2, 5, 6)
    plain, p = layer(x, return_attention=True)
    dropped, p_in_training = layer(x, training=True, return_attention=True)
    np.testing.assert_array_equal(p, p_in_training)
    assert np.abs(np.array(plain) - np.array(dropped)).max() > 0.1
    np.testing.assert_array_equal(layer(x, training=False), plain)


def test_initializers():
    layer = MultiHeadAttention(
        4,
        kernel_initializer=keras.initializers.TruncatedNormal(stddev=0.02, seed=1),
        output_initializer=keras.initializers.RandomNormal(stddev=0.004, seed=1),
    )
    layer.build((None, None, 200))
    assert 0.016 < np.std(layer.qkv_kernel) < 0.021 and np.abs(layer.qkv_kernel).max() <= 0.04
    assert abs(np.std(layer.output_kernel) - 0.004) < 3e-4
    assert not np.any(layer.qkv_bias) and not np.any(layer.output_bias)


def test_arguments_are_checked(randomize):
    with pytest.raises(ValueError, match="`num_heads` must be at least 1. Received: num_heads=0"):
        MultiHeadAttention(0)
    with pytest.raises(ValueError, match=r"`dropout` must be in \[0, 1\). Received: dropout=-1"):
        MultiHeadAttention(2, dropout=-1)
    with pytest.raises(ValueError, match=r"divisible by `num_heads` .*\(2, 5, 8\), num_heads=3"):
        MultiHeadAttention(3)(np.ones((2, 5, 8)))
    layer = built(randomize, 6)
    with pytest.raises(ValueError, match=r"`value` must be None .* value of shape \(2, 4, 6\)"):
        layer(random(2, 5, 6), random(2, 4, 6))
    with pytest.raises(ValueError, match=r"`attention_mask` must be of shape .*\(5, 5\)"):
        layer(random(2, 5, 6), attention_mask=np.ones((5, 5), bool))
    with pytest.raises(
        ValueError, match="`key_value_cache` needs a layer .*_cross_attention=False"
    ):
        layer.key_value_cache(random(2, 5, 6))
    with pytest.raises(ValueError, match="must be given `value` or else `cache`. .* value=None"):
        built(randomize, 6, 6)(random(2, 5, 6))
