import numpy as np
import pytest

from polysemy.layers.character_cnn import ELMO_FILTERS, CharacterCNN

FILTERS = [(1, 3), (2, 4), (5, 2)]
CONFIG = {"vocabulary_size": 20, "embedding_dim": 3, "filters": FILTERS}


def random_ids(*shape):
    ids = np.random.default_rng(0).integers(1, 20, shape).astype("int32")
    ids[..., shape[-1] - 2 :] = 0  # every word ends in padding
    return ids


@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_layer(check_layer, activation):
    check_layer(
        CharacterCNN,
        {**CONFIG, "activation": activation},
        {"inputs": random_ids(4, 6, 8)},
        (4, 6, 9),
        num_weights=7,
    )


@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_formula(randomize, activation):
    layer = CharacterCNN(**CONFIG, activation=activation)
    layer.build((None, 8))
    randomize(layer)
    ids = random_ids(7, 8)
    embeddings, *filters = (w.astype("float64") for w in layer.get_weights())
    table = np.concatenate([np.zeros((1, 3)), embeddings])
    expected = []
    for (width, _), kernel, bias in zip(FILTERS, filters[::2], filters[1::2], strict=True):
        windows = [table[ids[:, i : i + width]] for i in range(8 - width + 1)]
        responses = np.stack([np.einsum("nwe,wef->nf", x, kernel) + bias for x in windows])
        responses = np.maximum(responses, 0) if activation == "relu" else np.tanh(responses)
        expected.append(responses.max(axis=0))
    np.testing.assert_allclose(layer(ids), np.concatenate(expected, axis=-1), atol=1e-6)


def test_padding_is_the_zero_vector():
    """A word of padding alone answers with the bias, whatever the weights are."""
    layer = CharacterCNN(**CONFIG, activation="tanh")
    layer.build((None, 8))
    weights = layer.get_weights()
    assert weights[0].shape == (19, 3)  # id 0 has no row
    biases = [np.full_like(w, 0.5) if w.ndim == 1 else w for w in weights]
    layer.set_weights(biases)
    np.testing.assert_allclose(layer(np.zeros((1, 8), "int32")), np.tanh(0.5), atol=1e-6)


@pytest.mark.parametrize("shape", [(0, 5, 8), (2, 0, 8)])
def test_batch_without_words(shape):
    assert CharacterCNN(**CONFIG)(np.zeros(shape, "int32")).shape == (*shape[:2], 9)


def test_size_of_the_published_model():
    layer = CharacterCNN(262)
    layer.build((None, 50))
    assert layer.output_dim == 2048
    kernels = sum(width * 16 * number + number for width, number in ELMO_FILTERS)
    assert layer.count_params() == 261 * 16 + kernels == 203_344


def test_start_of_the_filters():
    for activation in ("relu", "tanh"):
        layer = CharacterCNN(262, filters=[(4, 2000)], activation=activation)
        layer.build((None, 50))
        kernel = layer.get_weights()[1]
        if activation == "relu":
            assert 0.0499 < np.abs(kernel).max() <= 0.05
        else:
            assert np.std(kernel) == pytest.approx((4 * 16) ** -0.5, rel=0.02)


def test_arguments_are_checked():
    with pytest.raises(ValueError, match="`activation` must be .* Received: activation='gelu'"):
        CharacterCNN(20, activation="gelu")
    with pytest.raises(ValueError, match="`filters` must hold at least one pair. Received"):
        CharacterCNN(20, filters=[])
    with pytest.raises(ValueError, match="the widest filter. Received: .*width=5"):
        CharacterCNN(**CONFIG)(np.ones((2, 4), "int32"))
