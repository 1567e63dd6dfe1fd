"""TF Hub's part `mlm` in the exports of masked language models."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from polysemy import serving, zoo
from polysemy.serving.hub_mlm import mlm_part

PIECES = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "the", "river", "bank", "."]


@pytest.fixture
def bert():
    keras.utils.set_random_seed(4)
    return zoo.Bert(PIECES, num_layers=1, num_heads=2, hidden_dim=8)


def test_mlm_is_the_encoder_and_the_head(bert, tmp_path):
    model = zoo.BertPretrainer(bert)
    path = serving.export(model, tmp_path)
    loaded = tf.saved_model.load(path)
    features = model.preprocessor(["the [MASK] bank .", "[MASK] ."])
    inputs = {
        "input_word_ids": features["token_ids"],
        "input_mask": tf.cast(features["padding_mask"], tf.int32),
        "input_type_ids": features["segment_ids"],
        "masked_lm_positions": tf.constant([[2], [1]]),
    }
    outputs = loaded.mlm(inputs)
    names = model.backbone.input
    encoded = model.backbone({name: features[name] for name in names})
    direct = model({**features, "mask_positions": inputs["masked_lm_positions"]})["logits"]
    np.testing.assert_allclose(outputs["mlm_logits"], direct, atol=1e-5)
    for name in ("sequence_output", "pooled_output"):
        np.testing.assert_allclose(outputs[name], encoded[name], atol=1e-5)
    np.testing.assert_array_equal(outputs["default"], outputs["pooled_output"])
    assert len(outputs["encoder_outputs"]) == 1
    guessed = loaded.signatures["fill_mask"](
        sentences=tf.constant(["the [MASK] bank ."]), top_k=tf.constant(1)
    )
    assert guessed["tokens"].numpy()[0, 0, 0].decode() == PIECES[int(np.argmax(direct[0, 0]))]
    # It can be trained: dropout is on, and what it trains are the model's variables.
    assert not np.allclose(loaded.mlm(inputs, training=True)["mlm_logits"], direct)
    assert len(loaded.mlm.trainable_variables) == len(model.trainable_variables)
    layer = serving.HubLayer(path, part="mlm", trainable=True, output_key="mlm_logits")
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(layer(inputs) ** 2)
    used = tape.gradient(loss, [variable.value for variable in layer.trainable_variables])
    assert sum(gradient is not None for gradient in used) >= len(model.backbone.weights) - 4


def test_a_masked_language_model_has_it_too(bert):
    model = zoo.BertMaskedLM(bert)
    features = model.preprocessor(["the [MASK] bank ."])
    outputs = model.masked_lm(features)
    np.testing.assert_array_equal(outputs["mlm_logits"], model(features)["logits"])


def test_other_models_have_none(bert):
    assert mlm_part(bert, {}) is None
