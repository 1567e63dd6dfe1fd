"""Word vectors that were computed beforehand."""

import keras
import numpy as np
import pytest

from polysemy.zoo.elmo.backbone import Elmo
from polysemy.zoo.elmo.token_cache import CachedElmo

WORDS = ["the", "cat", "sat", "<S>", "café", "the", "x" * 60]
SENTENCES = ["the cat sat", "café", f"<S> {'x' * 60} <UNK> the"]


@pytest.fixture
def pair(make_elmo):
    elmo = make_elmo(num_mixes=2)
    return elmo, elmo.with_token_cache(WORDS)


def test_outputs_equal_the_uncached_ones(pair, arrays):
    elmo, cached = pair
    expected = arrays(elmo(elmo.preprocessor(SENTENCES)))
    outputs = arrays(cached(cached.preprocessor(SENTENCES)))
    assert set(outputs) == {"token_output", "layer_outputs", "sequence_output", "sequence_output_1"}
    for name, array in expected.items():
        np.testing.assert_allclose(outputs[name], array, rtol=0, atol=1e-6)


def test_other_words_get_the_characters_of_unk(pair, arrays):
    elmo, cached = pair
    outputs = arrays(cached(cached.preprocessor(["the dog sat"])))
    expected = arrays(elmo(elmo.preprocessor(["the <UNK> sat"])))
    np.testing.assert_allclose(outputs["layer_outputs"], expected["layer_outputs"], atol=1e-6)


def test_more_words_than_one_call_computes(make_elmo, monkeypatch):
    monkeypatch.setattr("polysemy.zoo.elmo.token_cache.WORDS_AT_ONCE", 3)
    elmo = make_elmo()
    table = elmo.with_token_cache(WORDS).token_vectors.embeddings.numpy()
    monkeypatch.setattr("polysemy.zoo.elmo.token_cache.WORDS_AT_ONCE", 100)
    np.testing.assert_allclose(
        table, elmo.with_token_cache(WORDS).token_vectors.embeddings.numpy(), rtol=0, atol=1e-6
    )
    assert len(table) == 6 + 1 + 2  # distinct words, "<UNK>", boundaries


def test_lstms_and_mixes_are_shared_and_the_table_is_fixed(pair):
    elmo, cached = pair
    assert cached.bidirectional_lm is elmo.bidirectional_lm
    assert cached.mixes[1] is elmo.mixes[1]
    trainable = {v.path for v in cached.trainable_weights}
    assert "token_vectors/embeddings" not in trainable and "scalar_mix_1/gamma" in trainable
    assert not any("character_cnn" in v.path for v in cached.weights)


def test_serving_outputs_are_named_as_of_elmo(pair, arrays):
    elmo, cached = pair
    named = []
    for model in pair:
        inputs = model.preprocessor(SENTENCES)
        named.append(arrays(model.serving_outputs(model(inputs), inputs)))
    assert set(named[0]) == set(named[1]) >= {"word_emb", "lstm_outputs2", "elmo", "default"}
    np.testing.assert_allclose(named[0]["default"], named[1]["default"], atol=1e-6)


@pytest.mark.parametrize("way", ["keras", "preset"])
def test_saving(way, pair, arrays, tmp_path):
    _, cached = pair
    expected = arrays(cached(cached.preprocessor(SENTENCES)))
    if way == "keras":
        cached.save(tmp_path / "model.keras")
        loaded = keras.models.load_model(tmp_path / "model.keras")
    else:
        cached.save_to_preset(tmp_path / "preset")
        loaded = CachedElmo.from_preset(tmp_path / "preset")
    assert isinstance(loaded, CachedElmo) and loaded.vocabulary == cached.vocabulary
    outputs = arrays(loaded(loaded.preprocessor(SENTENCES)))
    for name, array in expected.items():
        np.testing.assert_array_equal(outputs[name], array)


def test_states_are_carried_and_forgotten(make_elmo, arrays):
    elmo = make_elmo(stateful=True, state_batch_size=2)
    cached = elmo.with_token_cache(WORDS)
    first, second, third = [], [], []
    for results in (first, second, third):
        results.append(arrays(cached(cached.preprocessor(SENTENCES[:2])))["layer_outputs"])
        if results is second:
            cached.reset_states()
    assert np.abs(first[0] - second[0]).max() > 1e-3
    np.testing.assert_array_equal(first[0], third[0])


def test_bad_words():
    elmo = Elmo.from_size("tiny")
    with pytest.raises(ValueError, match="`words` must be distinct, not empty"):
        elmo.with_token_cache(["a", ""]).preprocessor(["a"])
