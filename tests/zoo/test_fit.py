"""`compile` and `fit` of the models with a head."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from polysemy import zoo

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "cat"]


class Counting(zoo.BertTextClassifier):
    """Counts how often a step is traced."""

    traces = 0

    def train_step(self, *args, **kwargs):
        self.traces += 1
        return super().train_step(*args, **kwargs)


@pytest.fixture
def model():
    return Counting(zoo.Bert(WORDS, num_layers=1, num_heads=2, hidden_dim=4), num_classes=2)


@pytest.fixture
def data(model):
    return model.preprocessor(["a cat", "a"]), np.array([0, 1])


def test_the_first_step_is_traced_once(model, data):
    model.compile("adam", jit_compile=False)
    assert not model.optimizer.built
    model.fit(*data, epochs=3, verbose=0)
    assert model.traces == 1 and int(model.optimizer.iterations) == 3

    model.backbone.trainable = False
    model.compile("adam", jit_compile=False)
    model.fit(*data, verbose=0)
    assert model.traces == 2
    assert len(model.optimizer.variables) < len(model.backbone.weights)  # the head's alone


def test_evaluation_makes_no_optimizer(model, data):
    model.compile("adam", jit_compile=False)
    assert model.evaluate(*data, verbose=0) > 0
    assert not model.optimizer.built


def test_metrics_are_given_by_output(model, data):
    for name in ("metrics", "weighted_metrics"):
        rule = rf"`{name}` must be a dict from names of outputs.*Received: {name}=\['accuracy'\]"
        with pytest.raises(ValueError, match=rule):
            model.compile("adam", **{name: ["accuracy"]})
    model.compile(keras.optimizers.SGD(0.0), metrics={"logits": "accuracy"}, jit_compile=False)
    inputs, labels = data
    history = model.fit(inputs, labels, verbose=0).history
    right = np.argmax(model(inputs)["logits"], -1) == labels
    assert history["logits_accuracy"] == [right.mean()]


@pytest.mark.parametrize("kind", ["arrays", "dataset"])
def test_metrics_do_not_trace_the_step_again(kind, model, data):
    inputs, labels = data
    given = data if kind == "arrays" else (tf.data.Dataset.from_tensors(data).repeat(2),)
    model.compile(keras.optimizers.SGD(0.0), metrics={"logits": "accuracy"}, jit_compile=False)
    history = model.fit(*given, shuffle=False, verbose=0).history
    assert history["logits_accuracy"] == [(np.argmax(model(inputs)["logits"], -1) == labels).mean()]
    assert model.traces == 1


def test_labels_of_unknown_rank_reach_the_metric(model, data):
    inputs, labels = data
    spec = tf.data.Dataset.from_tensors(inputs).element_spec, tf.TensorSpec(None, labels.dtype)
    batches = tf.data.Dataset.from_generator(lambda: iter([data]), output_signature=spec)
    model.compile("sgd", metrics={"logits": "accuracy"}, jit_compile=False)
    with pytest.raises(ValueError, match="unknown rank.*\n.*metrics="):
        model.fit(batches, shuffle=False, verbose=0)
