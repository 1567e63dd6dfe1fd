"""Layers tell their output's shape from their inputs' alone, as `TimeDistributed` asks them."""

import keras
import pytest

from polysemy import layers

X = (None, 5, 8)


@pytest.mark.parametrize(
    "layer",
    [
        layers.FeedForward(6),
        layers.LayerNorm(),
        layers.LMHead(7),
        layers.MultiHeadAttention(2),
        layers.ProjectedLSTM(6, 3),
        layers.ProjectedLSTM(6, 3, return_state=True),
        layers.TransformerBlock(2, 6),
    ],
    ids=lambda layer: layer.name,
)
def test_shape(layer):
    shape = layer.compute_output_shape(X)
    outputs = layer(keras.Input(X[1:]))
    assert keras.tree.map_structure(lambda y: y.shape, outputs) == shape
    if not isinstance(outputs, tuple):
        spread = keras.layers.TimeDistributed(layer)(keras.Input((4, *X[1:])))
        assert spread.shape == (None, 4, *shape[1:])
