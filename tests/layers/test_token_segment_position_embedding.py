import keras
import numpy as np
import pytest
import tensorflow as tf

from polysemy.layers import TokenSegmentPositionEmbedding

IDS = np.array([[1, 4, 2], [9, 0, 0]], "int32")
SEGMENTS = np.array([[0, 1, 1], [0, 0, 0]], "int32")


def test_layer(check_layer):
    settings = {"vocabulary_size": 10, "hidden_dim": 6, "max_length": 4, "dropout": 0.1}
    inputs = {"token_ids": IDS, "segment_ids": SEGMENTS}
    check_layer(TokenSegmentPositionEmbedding, settings, inputs, (2, 3, 6), num_weights=5)


def test_layer_without_segments_and_norm(check_layer):
    settings = {
        "vocabulary_size": 10, "hidden_dim": 6, "max_length": 4, "num_segments": 0,
        "layer_norm_epsilon": None,
    }  # fmt: skip
    check_layer(
        TokenSegmentPositionEmbedding, settings, {"token_ids": IDS}, (2, 3, 6), num_weights=2
    )


def test_formula(randomize):
    layer = TokenSegmentPositionEmbedding(10, 6, 4, layer_norm_epsilon=0.1)
    layer(IDS, SEGMENTS)
    randomize(layer)
    weights = {w.path.split("/", 1)[1]: np.array(w, "float64") for w in layer.weights}
    positions = weights["position_embedding/embeddings"]

    def norm(x):
        x = x - x.mean(-1, keepdims=True)
        x = x / np.sqrt((x**2).mean(-1, keepdims=True) + 0.1)
        return x * weights["layer_norm/gamma"] + weights["layer_norm/beta"]

    tokens, segments = weights["token_embeddings"][IDS], weights["segment_embeddings"]
    expected = norm(tokens + segments[SEGMENTS] + positions[:3])
    np.testing.assert_allclose(layer(IDS, SEGMENTS), expected, atol=2e-6)
    first = norm(tokens + segments[0] + positions[:3])
    np.testing.assert_allclose(layer(IDS), first, atol=2e-6)
    later = norm(tokens + segments[0] + np.stack([positions[:3], positions[1:4]]))
    np.testing.assert_allclose(layer(IDS, start_index=np.array([0, 1])), later, atol=2e-6)


def test_dropout():
    layer = TokenSegmentPositionEmbedding(10, 50, 4, dropout=0.5, seed=1)
    found = np.array(layer(IDS, training=True))
    assert 0.3 < (found == 0).mean() < 0.7
    assert (np.array(layer(IDS)) != 0).all()


def test_initializers():
    layer = TokenSegmentPositionEmbedding(
        500,
        40,
        200,
        embeddings_initializer=keras.initializers.RandomNormal(stddev=0.02, seed=1),
        position_initializer=keras.initializers.RandomNormal(stddev=0.01, seed=1),
    )
    layer.build()
    assert abs(np.std(layer.token_embeddings) - 0.02) < 1e-3
    assert abs(np.std(layer.position_embedding.embeddings) - 0.01) < 1e-3


def test_only_rows_that_occur_are_cast():
    """In half precision the table is not cast as a whole, at every step, for a few rows."""
    layer = TokenSegmentPositionEmbedding(1_000, 6, 4, dtype="mixed_bfloat16")
    layer.build()
    graph = tf.function(layer, autograph=False).get_concrete_function(tf.constant(IDS)).graph
    casts = [op.inputs[0].shape for op in graph.get_operations() if op.type == "Cast"]
    assert casts and not [shape for shape in casts if 1_000 in shape]


def test_lengths_are_checked():
    layer = TokenSegmentPositionEmbedding(10, 6, max_length=2)
    with pytest.raises(ValueError, match="start_index=0, length=3, max_length=2"):
        layer(IDS)
    with pytest.raises(ValueError, match="start_index=0, length=3, max_length=2"):
        layer(keras.Input((3,), dtype="int32"))


def test_arguments_are_checked():
    with pytest.raises(ValueError, match="`vocabulary_size` must be at least 1. .*size=0"):
        TokenSegmentPositionEmbedding(0, 6, 4)
    with pytest.raises(ValueError, match="`hidden_dim` must be at least 1. .*hidden_dim=0"):
        TokenSegmentPositionEmbedding(10, 0, 4)
    with pytest.raises(ValueError, match="`num_segments` must be at least 0. .*segments=-1"):
        TokenSegmentPositionEmbedding(10, 6, 4, num_segments=-1)
    with pytest.raises(ValueError, match=r"`dropout` must be in \[0, 1\). Received: dropout=1"):
        TokenSegmentPositionEmbedding(10, 6, 4, dropout=1)
    with pytest.raises(ValueError, match=r"`segment_ids` must be None .* of shape \(2, 3\)"):
        TokenSegmentPositionEmbedding(10, 6, 4, num_segments=0)(IDS, SEGMENTS)
