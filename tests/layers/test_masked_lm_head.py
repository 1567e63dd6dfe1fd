import keras
import numpy as np
import pytest

from polysemy.layers import MaskedLMHead, NextSentenceHead, TokenSegmentPositionEmbedding

POSITIONS = np.array([[3, 1], [0, 0]], "int32")


def random(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def test_layer(check_layer):
    inputs = {
        "sequence_output": random(2, 5, 6),
        "mask_positions": POSITIONS,
        "embedding_matrix": random(10, 6),
    }
    settings = {"vocabulary_size": 10, "activation": "gelu_tanh"}
    check_layer(
        MaskedLMHead, settings, inputs, (2, 2, 10), num_weights=5, compute_dtype_outputs=False,
        half_tolerance=0.04,
    )  # fmt: skip


def test_formula(randomize):
    head = MaskedLMHead(10, activation="relu", layer_norm_epsilon=0.1)
    x, table = random(2, 5, 6), random(10, 6, seed=1)
    head(x, POSITIONS, embedding_matrix=table)
    randomize(head)
    weights = {w.path.split("/", 1)[1]: np.array(w, "float64") for w in head.weights}
    h = np.stack([x[0, [3, 1]], x[1, [0, 0]]]).astype("float64")
    h = np.maximum(h @ weights["transform_kernel"] + weights["transform_bias"], 0)
    h = h - h.mean(-1, keepdims=True)
    h = h / np.sqrt((h**2).mean(-1, keepdims=True) + 0.1)
    h = h * weights["layer_norm/gamma"] + weights["layer_norm/beta"]
    expected = h @ table.T + weights["bias"]
    np.testing.assert_allclose(head(x, POSITIONS, embedding_matrix=table), expected, atol=5e-6)


def tied_model(dtype="float32"):
    embedding = TokenSegmentPositionEmbedding(10, 6, 4, name="embedding", dtype=dtype)
    head = MaskedLMHead(10, tie_to=embedding, name="head", dtype=dtype)
    ids = keras.Input((None,), dtype="int32", name="token_ids")
    positions = keras.Input((None,), dtype="int32", name="mask_positions")
    inputs = {"token_ids": ids, "mask_positions": positions}
    return keras.Model(inputs, head(embedding(ids), positions))


INPUTS = {"token_ids": np.array([[1, 2, 3]]), "mask_positions": np.array([[2, 0]])}


@pytest.mark.parametrize("dtype", ["float32", "mixed_bfloat16"])
def test_tied_to_the_embeddings_as_they_become(dtype):
    model = tied_model(dtype)
    assert len(model.weights) == 10
    before = np.array(model(INPUTS))
    # After the graph was made: a head that had kept the values would not see it.
    table = model.get_layer("embedding").token_embeddings
    table.assign(np.where(np.arange(10)[:, None] == 7, 2.0, np.array(table)))
    change = np.abs(np.array(model(INPUTS)) - before).max(axis=(0, 1))
    assert change[7] > 0 and not change[[0, 1, 2, 3, 4, 5, 6, 8, 9]].any()


def test_stays_tied_when_saved(tmp_path):
    model = tied_model()
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert len(loaded.weights) == 10
    assert loaded.get_layer("head").tie_to is loaded.get_layer("embedding")
    np.testing.assert_allclose(loaded(INPUTS), model(INPUTS), atol=1e-6)


def test_next_sentence_layer(check_layer):
    inputs = {"pooled_output": random(3, 6)}
    check_layer(NextSentenceHead, {}, inputs, (3, 2), num_weights=2, compute_dtype_outputs=False)


def test_next_sentence_formula(randomize):
    head, x = NextSentenceHead(), random(3, 6)
    head(x)
    randomize(head)
    kernel, bias = head.get_weights()
    np.testing.assert_allclose(head(x), x @ kernel + bias, atol=1e-6)


def test_arguments_are_checked():
    with pytest.raises(ValueError, match="`vocabulary_size` must be at least 1. .*size=0"):
        MaskedLMHead(0)
    with pytest.raises(ValueError, match="`activation` must be one of .*'swish'"):
        MaskedLMHead(10, "swish")
    with pytest.raises(ValueError, match="`embedding_matrix` must be given if and only if"):
        MaskedLMHead(10)(random(2, 5, 6), POSITIONS)
    with pytest.raises(ValueError, match=r"`embedding_matrix` must have .* of shape \(9, 6\)"):
        MaskedLMHead(10)(random(2, 5, 6), POSITIONS, embedding_matrix=random(9, 6))
    with pytest.raises(ValueError, match=r"`tie_to.token_embeddings` must have .*\(10, 6\)"):
        tied = TokenSegmentPositionEmbedding(10, 6, 4)
        MaskedLMHead(11, tie_to=tied)(random(2, 5, 6), POSITIONS)
