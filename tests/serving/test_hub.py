"""Exports inside other models: `hub.KerasLayer` in tf_keras, `HubLayer` in Keras 3."""

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from polysemy import serving
from polysemy.serving.hub import HubLayer

# Separable by one word: "robbed" or not.
TEXTS = ["the bank was robbed", "the river rose", "robbed the café", "the river bank ."] * 4
LABELS = [1.0, 0.0, 1.0, 0.0] * 4


@pytest.fixture(scope="module")
def path(models):
    return str(models / "toy" / "3")


def classifier(path, **arguments):
    text = keras.Input((), dtype="string")
    layer = HubLayer(path, output_key="default", **arguments)
    score = keras.layers.Dense(1, activation="sigmoid")(layer(text))
    model = keras.Model(text, score)
    model.compile(keras.optimizers.Adam(0.05), "binary_crossentropy")
    return model, layer


def fit(model, epochs=15):
    return model.fit(tf.constant(TEXTS), np.array(LABELS), epochs=epochs, verbose=0).history["loss"]


@pytest.mark.filterwarnings("ignore")  # tensorflow-hub and tf_keras call what others deprecated
def test_keras_layer_of_tf_hub_fine_tunes_in_tf_keras(path):
    import tensorflow_hub as hub
    import tf_keras

    layer = hub.KerasLayer(path, trainable=True, output_key="default")
    model = tf_keras.Sequential(
        [tf_keras.Input((), dtype=tf.string), layer, tf_keras.layers.Dense(1, "sigmoid")]
    )
    model.compile(tf_keras.optimizers.Adam(0.05), "binary_crossentropy")
    before = [variable.numpy() for variable in layer.trainable_variables]
    assert len(before) == 3
    assert float(layer.losses[0]) > 0.0  # the dense kernel's L2
    losses = fit(model)
    assert losses[-1] < losses[0] / 2
    after = [variable.numpy() for variable in layer.trainable_variables]
    assert all(np.abs(a - b).max() > 1e-3 for a, b in zip(after, before, strict=True))


def test_hub_layer_answers_as_the_model(path, direct, sentences):
    layer = HubLayer(path)
    outputs = layer(tf.constant(sentences))
    assert set(outputs) == {"words", "sequence_output", "default"}
    np.testing.assert_allclose(outputs["default"], direct["default"], atol=1e-5)
    assert not layer.trainable_variables and len(layer.variables) >= 4
    assert not layer.losses


def test_hub_layer_fine_tunes_in_keras(path, toy):
    model, layer = classifier(path, trainable=True)
    before = [variable.numpy() for variable in layer.trainable_variables]
    assert len(before) == 3 and len(model.trainable_variables) == 5
    losses = fit(model)
    assert losses[-1] < losses[0] / 2
    after = [variable.numpy() for variable in layer.trainable_variables]
    assert all(np.abs(a - b).max() > 1e-3 for a, b in zip(after, before, strict=True))
    model(tf.constant(TEXTS))
    (loss,) = layer.losses
    kernel = next(v for v in layer.trainable_variables if v.shape == (5, 4))
    np.testing.assert_allclose(loss, 0.1 * np.sum(np.square(kernel)), rtol=1e-5)


def test_frozen_hub_layer_does_not_change_nor_drop(path, direct, sentences):
    model, layer = classifier(path, trainable=False)
    before = [variable.numpy() for variable in layer.variables]
    fit(model, epochs=2)
    for a, b in zip(layer.variables, before, strict=True):
        np.testing.assert_array_equal(a, b)
    output = layer(tf.constant(sentences), training=True)
    np.testing.assert_allclose(output, direct["default"], atol=1e-5)


def test_training_mode_reaches_the_saved_model(path, direct, sentences):
    layer = HubLayer(path, trainable=True, output_key="default")
    dropped = layer(tf.constant(sentences), training=True)
    assert np.abs(dropped - direct["default"]).max() > 1e-3
    calm = layer(tf.constant(sentences), training=False)
    np.testing.assert_allclose(calm, direct["default"], atol=1e-5)


def test_keras_file_keeps_fine_tuned_weights(path, tmp_path):
    model, _ = classifier(path, trainable=True)
    untrained = model(tf.constant(TEXTS)).numpy()
    fit(model, epochs=3)
    expected = model(tf.constant(TEXTS)).numpy()
    assert np.abs(expected - untrained).max() > 1e-2
    model.save(tmp_path / "model.keras")
    loaded: Any = keras.saving.load_model(tmp_path / "model.keras", safe_mode=False)
    np.testing.assert_allclose(loaded(tf.constant(TEXTS)), expected, atol=1e-6)
    assert fit(loaded, epochs=3)[-1] > 0.0
    with pytest.raises(ValueError, match="`safe_mode` must be False"):
        keras.saving.load_model(tmp_path / "model.keras")


def test_encoder_part_takes_and_returns_dicts(path, toy, direct, sentences):
    ids = keras.Input((None,), dtype="int32", name="token_ids")
    mask = keras.Input((None,), dtype="bool", name="padding_mask")
    inputs = {"token_ids": ids, "padding_mask": mask}
    model = keras.Model(inputs, HubLayer(path, part="encoder", trainable=True)(inputs))
    features = HubLayer(path, part="preprocessor")(tf.constant(sentences))
    outputs = model(features)
    np.testing.assert_allclose(outputs["sequence_output"], direct["sequence_output"], atol=1e-5)
    shapes = {"default": (None, 4), "sequence_output": (None, None, 4)}
    assert {name: tensor.shape for name, tensor in model.output.items()} == shapes


def test_mixed_precision_leaves_the_graph_as_it_is(models):
    layer = HubLayer(
        serving_path := str(models / "plain" / "1"), output_key="difference", dtype="mixed_bfloat16"
    )
    a, b = tf.constant([[1.001, 2.0]]), tf.constant([[0.5, 0.25]])
    np.testing.assert_allclose(layer({"a": a, "b": b}), a - 2 * b, atol=1e-6)
    assert layer.get_config()["handle"] == serving_path


def test_what_cannot_be_loaded_is_named(models, path, tmp_path):
    with pytest.raises(ValueError, match=r"without saved_model.pb. Did you mean .*toy/3'\?"):
        HubLayer(models / "toy")
    with pytest.raises(ValueError, match="without saved_model.pb.$"):
        HubLayer(tmp_path)
    (tmp_path / "saved_model.pb").write_bytes(b"garbage")
    with pytest.raises(ValueError, match="`handle` must be a readable SavedModel"):
        HubLayer(tmp_path)
    with pytest.raises(ValueError, match="Received: part='decoder'"):
        HubLayer(path, part="decoder")
    with pytest.raises(ValueError, match=r"which has \['default', .*output_key='elmo'"):
        HubLayer(path, output_key="elmo")(tf.constant(["the"]))


def test_a_graph_that_is_only_a_signature_is_refused(tmp_path):
    tf.saved_model.save(tf.Module(), str(tmp_path))
    with pytest.raises(ValueError, match="`part` must name a callable part"):
        serving.HubLayer(str(tmp_path))


def test_functions_are_parts_and_strings_are_no_weights(tmp_path):
    """As Keras's own `Model.export` writes them, and with a variable that Keras has no kind for."""
    module = tf.Module()
    module.greeting, module.scale = tf.Variable("x is "), tf.Variable([1.0, 2.0])

    @tf.function(input_signature=[tf.TensorSpec([None, 2], tf.float32)])
    def serve(x):
        text = tf.strings.join([module.greeting, tf.strings.as_string(x * module.scale)])
        return {"y": x * module.scale, "text": text}

    module.serve = serve
    tf.saved_model.save(module, str(tmp_path / "1"))
    with pytest.raises(ValueError, match="`part` must name a callable part"):
        HubLayer(str(tmp_path / "1"))
    inputs = keras.Input((2,))
    layer = HubLayer(str(tmp_path / "1"), trainable=True, part="serve", output_key="y")
    model = keras.Model(inputs, layer(inputs))
    assert (
        [v.shape for v in layer.variables] == [(2,)] == [v.shape for v in layer.trainable_weights]
    )
    layer.trainable_variables[0].assign([3.0, 4.0])
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras", safe_mode=False)
    np.testing.assert_array_equal(again(tf.ones((1, 2))), [[3.0, 4.0]])


class Scaled(keras.layers.Layer):
    """Multiplies by a weight whose gradient says ten times as much."""

    def build(self, input_shape):
        self.scale = self.add_weight(shape=(), initializer="ones", name="scale")
        self.built = True

    def call(self, inputs):
        @keras.ops.custom_gradient
        def scaled(x, scale):
            def gradient(upstream):
                return upstream * scale, 10.0 * keras.ops.sum(upstream * x)

            return x * scale, gradient

        return scaled(inputs, self.scale + 0.0)


def test_custom_gradients_survive(tmp_path):
    inputs = keras.Input((2,), name="x")
    layer = HubLayer(serving.export(keras.Model(inputs, Scaled()(inputs)), tmp_path), True)
    x = tf.constant([[1.0, 2.0], [3.0, 4.0]])
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(layer(x, training=True))
    assert float(tape.gradient(loss, layer.trainable_variables[0].value)) == 100.0
