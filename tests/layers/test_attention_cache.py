"""Attention step by step, with a cache, against attention at once."""

import numpy as np
import pytest
import tensorflow as tf

from polysemy.layers import CachePlace, MultiHeadAttention, TransformerBlock, causal_attention_mask

ROWS, LENGTH, SIZE, DIM = 3, 6, 8, 6  # SIZE: of the cache, longer than what is written


@pytest.fixture
def x():
    return np.random.default_rng(0).normal(size=(ROWS, LENGTH, DIM)).astype("float32")


def make_block(randomize, dtype="float32", **settings):
    layer = TransformerBlock(2, 10, norm="pre", layer_norm_epsilon=1e-5, dtype=dtype, **settings)
    shapes = [(None, None, DIM)] * (2 if settings.get("cross_attention") else 1)
    layer.build(*shapes)
    randomize(layer)
    return layer


def empty(dtype="float32", rows=ROWS):
    # Not zeros: what was never written must not be read.
    part = tf.cast(tf.fill((rows, 2, SIZE, DIM // 2), 50.0), dtype)
    return part, part


@pytest.mark.parametrize("steps", [[1] * LENGTH, [3, 1, 2], [LENGTH]])
@pytest.mark.parametrize("index_of_rows", [False, True])
def test_cached_is_uncached(randomize, x, steps, index_of_rows):
    block = make_block(randomize)
    expected = block(x, attention_mask=causal_attention_mask(LENGTH, LENGTH))
    cache, outputs, start = empty(), [], 0
    for step in steps:
        index = np.full(ROWS, start, "int32") if index_of_rows else start
        output, cache = block(x[:, start : start + step], cache=cache, cache_index=index)
        outputs.append(output)
        start += step
    np.testing.assert_allclose(np.concatenate(outputs, 1), expected, atol=2e-5)
    for part in cache:
        np.testing.assert_array_equal(part[:, :, LENGTH:], 50.0)


@pytest.mark.parametrize("jit_compile", [False, True])
def test_ragged_rows(randomize, x, jit_compile):
    """Prompts of different lengths, padded on the right; each row then goes on by itself."""
    layer = MultiHeadAttention(2)
    layer.build((None, None, DIM))
    randomize(layer)
    lengths = np.array([1, 4, 2], "int32")

    @tf.function(jit_compile=jit_compile, autograph=False)
    def step(x, cache, index):
        return layer(x, cache=cache, cache_index=index)

    prompt = np.where(np.arange(4)[:, None] < lengths[:, None, None], x[:, :4], 30.0)
    output, cache = step(prompt.astype("float32"), empty(), np.zeros(ROWS, "int32"))
    first = np.array(output)[np.arange(ROWS), lengths - 1]
    rows = np.arange(ROWS)
    second, cache = step(x[rows, lengths][:, None], cache, lengths)
    third, cache = step(x[rows, lengths + 1][:, None], cache, lengths + 1)
    whole = np.array(layer(x, attention_mask=causal_attention_mask(LENGTH, LENGTH)))
    for i, found in enumerate((first, second[:, 0], third[:, 0])):
        np.testing.assert_allclose(found, whole[rows, lengths - 1 + i], atol=1e-5)


def test_index_as_a_tensor_in_a_loop(randomize, x):
    block = make_block(randomize)

    @tf.function(autograph=False)
    def decode(x):
        def body(i, cache, outputs):
            step = tf.reshape(x[:, i], (ROWS, 1, DIM))
            output, cache = block(step, cache=cache, cache_index=i)
            return i + 1, cache, outputs.write(i, output[:, 0])

        outputs = tf.TensorArray(tf.float32, LENGTH, element_shape=(ROWS, DIM))
        loop = tf.while_loop(lambda i, *_: i < LENGTH, body, (0, empty(), outputs))
        return tf.transpose(loop[2].stack(), (1, 0, 2))

    expected = block(x, attention_mask=causal_attention_mask(LENGTH, LENGTH))
    np.testing.assert_allclose(decode(x), expected, atol=2e-5)


@pytest.mark.parametrize("index", [2, np.array([0, 4, 1], "int32")])
def test_a_place_for_many_layers(randomize, x, index):
    """One place is what each layer would work out from the index."""
    layers = [make_block(randomize) for _ in range(2)]
    place = CachePlace(index, ROWS, 3, SIZE, num_heads=2)
    for layer in layers:
        expected = layer(x[:, :3], cache=empty(), cache_index=index)
        found = layer(x[:, :3], cache=empty(), cache_index=place)
        np.testing.assert_array_equal(found[0], expected[0])
        np.testing.assert_array_equal(found[1], expected[1])
    start = np.broadcast_to(index, ROWS)
    written = np.any(np.array(found[1]) != 50.0, axis=(0, 2, 4))
    np.testing.assert_array_equal(written, (np.arange(SIZE) - start[:, None]) // 3 == 0)


def test_padding_mask_over_the_cache(randomize, x):
    block = make_block(randomize)
    hidden = np.arange(SIZE) != 1
    output, _ = block(x, attention_mask=hidden[None, None, None], cache=empty(), cache_index=0)
    mask = causal_attention_mask(LENGTH, LENGTH) & hidden[:LENGTH]
    np.testing.assert_allclose(output, block(x, attention_mask=mask), atol=2e-5)


def test_probabilities_over_the_cache(randomize, x):
    block = make_block(randomize)
    _, cache, p = block(x[:, :2], cache=empty(), cache_index=0, return_attention=True)
    assert p.shape == (ROWS, 2, 2, SIZE)
    np.testing.assert_array_equal(p[:, :, 0, 1:], 0.0)
    np.testing.assert_allclose(np.sum(p[..., :2], -1), 1.0, atol=1e-5)


def test_half_precision(randomize, x):
    block = make_block(randomize, "mixed_bfloat16")
    expected = block(x, attention_mask=causal_attention_mask(LENGTH, LENGTH))
    cache, outputs = empty("bfloat16"), []
    for i in range(LENGTH):
        output, cache = block(x[:, i : i + 1], cache=cache, cache_index=i)
        outputs.append(output)
    assert {part.dtype.name for part in cache} == {"bfloat16"}
    found = np.concatenate(outputs, 1).astype("float32")
    np.testing.assert_allclose(found, np.array(expected).astype("float32"), atol=0.1)


def test_cross_attention_with_a_cache(randomize, x):
    block = make_block(randomize, cross_attention=True)
    encoded = np.random.default_rng(1).normal(size=(ROWS, 4, DIM)).astype("float32")
    mask = (np.arange(4) < np.array([[4], [1], [3]]))[:, None, None]
    causal = causal_attention_mask(LENGTH, LENGTH)
    expected = block(
        x, attention_mask=causal, encoded=encoded, encoded_mask=mask, return_attention=True
    )
    stored = block.cross_attention.key_value_cache(encoded)
    assert {tuple(part.shape) for part in stored} == {(ROWS, 2, 4, DIM // 2)}
    outputs, cache = [], empty()
    for i in range(LENGTH):
        output, cache, p, cross = block(
            x[:, i : i + 1], cache=cache, cache_index=i, cross_cache=stored, encoded_mask=mask,
            return_attention=True,
        )  # fmt: skip
        outputs.append(output)
        np.testing.assert_allclose(p[..., :LENGTH], expected[1][:, :, i : i + 1], atol=1e-5)
        np.testing.assert_allclose(cross, expected[2][:, :, i : i + 1], atol=1e-5)
    np.testing.assert_allclose(np.concatenate(outputs, 1), expected[0], atol=2e-5)


def test_arguments_are_checked(randomize, x):
    layer = MultiHeadAttention(2)
    layer.build((None, None, DIM))
    with pytest.raises(ValueError, match="`cache` and `cache_index` must be given together"):
        layer(x, cache_index=0)
    for parts, shape in ((2, (ROWS, 3, SIZE, 2)), (2, (ROWS, 2, 3)), (3, (ROWS, 2, SIZE, 3))):
        with pytest.raises(ValueError, match=r"`cache` must be two tensors of .*\(B, 2, M, 3\)"):
            layer(x, cache=(np.zeros(shape, "float32"),) * parts, cache_index=0)
    with pytest.raises(ValueError, match=r"cache_index=3, .*\(3, 6, 6\), a cache of 8 positions"):
        layer(x, cache=empty(), cache_index=3)
    block = make_block(randomize)
    with pytest.raises(ValueError, match="if and only if `cross_attention` .*attention=False"):
        block(x, encoded=x)
    with pytest.raises(ValueError, match="`encoded` or `cross_cache` must be given .*=True"):
        make_block(randomize, cross_attention=True)(x)
    cross = MultiHeadAttention(2)
    cross.build((None, None, DIM), (None, None, DIM))
    with pytest.raises(ValueError, match="`cache_index` must be None in cross-attention"):
        cross(x, cache=cross.key_value_cache(x), cache_index=1)
