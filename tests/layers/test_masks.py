import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import ops

from polysemy import layers
from polysemy.layers import causal_attention_mask, combine_masks, padding_attention_mask
from polysemy.layers.masks import keras_mask


def test_padding_is_hidden_from_every_query():
    for dtype in ("bool", "int32", "float32"):
        mask = padding_attention_mask(np.array([[1, 1, 0], [0, 0, 0]], dtype))
        assert mask.dtype == "bool" and mask.shape == (2, 1, 1, 3)
        np.testing.assert_array_equal(mask[:, 0, 0], [[True, True, False], [False] * 3])


def test_causal_mask():
    mask = causal_attention_mask(4, 4)
    np.testing.assert_array_equal(mask[0, 0], np.tril(np.ones((4, 4), bool)))
    assert mask.shape == (1, 1, 4, 4)


@pytest.mark.parametrize("offset", [2, np.int32(2), np.array(2)])
def test_causal_mask_behind_a_cache(offset):
    expected = np.arange(6) <= np.arange(2, 5)[:, None]
    np.testing.assert_array_equal(causal_attention_mask(3, 6, offset)[0, 0], expected)


def test_causal_mask_of_each_row():
    mask = causal_attention_mask(1, 4, np.array([0, 2, 3]))
    assert mask.shape == (3, 1, 1, 4)
    np.testing.assert_array_equal(mask[:, 0, 0], np.arange(4) <= np.array([[0], [2], [3]]))


def test_causal_mask_of_unknown_length():
    @tf.function(input_signature=[tf.TensorSpec([], tf.int32)], autograph=False)
    def mask(length):
        return causal_attention_mask(length, length)

    np.testing.assert_array_equal(mask(3)[0, 0], np.tril(np.ones((3, 3), bool)))


def test_masks_are_combined():
    padding = padding_attention_mask(np.array([[1, 1, 0], [1, 0, 0]]))
    both = combine_masks(None, padding, causal_attention_mask(3, 3), None)
    assert both is not None and both.shape == (2, 1, 3, 3)
    expected = np.array(padding) & np.tril(np.ones((3, 3), bool))
    np.testing.assert_array_equal(both, expected)
    assert combine_masks(padding) is padding
    assert combine_masks() is combine_masks(None, None) is None


def test_masks_in_a_functional_graph():
    padding = keras.Input((None,), dtype="int32")
    model = keras.Model(padding, padding_attention_mask(padding))
    assert model(np.ones((2, 5), "int32")).shape == (2, 1, 1, 5)


@pytest.mark.parametrize("dtype", ["float32", "mixed_bfloat16"])
@pytest.mark.parametrize("norm", ["post", "pre"])
def test_blocks_take_the_keras_mask(norm, dtype):
    """With padding and without, real tokens get the same vectors; and the mask goes on."""
    ids = np.array([[1, 2, 3, 0, 0], [4, 5, 6, 0, 0]])
    embedding = keras.layers.Embedding(7, 8, mask_zero=True, dtype=dtype)
    encoder, decoder = (
        layers.TransformerBlock(2, 16, norm=norm, cross_attention=cross, dtype=dtype)
        for cross in (False, True)
    )

    def run(ids):
        encoded = encoder(embedding(ids))
        return decoder(embedding(ids[:, :2]), encoded=encoded), encoded

    atol = 1e-6 if dtype == "float32" else 0.05
    for padded, alone in zip(run(ids), run(ids[:, :3]), strict=True):
        length = min(padded.shape[1], 3)
        padded, alone = (ops.convert_to_numpy(ops.cast(x, "float32")) for x in (padded, alone))
        np.testing.assert_allclose(padded[:, :length], alone, atol=atol)
    head = layers.LMHead(7)
    scores = head(layers.FeedForward(4)(layers.LayerNorm()(run(ids)[1])))
    np.testing.assert_array_equal(keras_mask(scores), ids > 0)
