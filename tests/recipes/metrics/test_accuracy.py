import keras
import numpy as np
import pytest

from polysemy.recipes.metrics import TokenAccuracy


def test_logits_and_ids_with_padding():
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(3, 5, 4)).astype("float32")
    labels = rng.integers(0, 4, size=(3, 5))
    mask = np.arange(5) < np.array([[5], [2], [0]])
    right = (logits.argmax(-1) == labels)[mask].mean()
    for prediction in (logits, logits.argmax(-1).astype("int32")):
        metric = TokenAccuracy()
        for row in range(3):  # in batches of one: tokens weigh alike, not batches
            part = slice(row, row + 1)
            metric.update_state(labels[part], prediction[part], sample_weight=mask[part])
        assert float(metric.result()) == pytest.approx(right)


def test_in_fit_with_a_masking_model():
    tokens = keras.Input((None,), dtype="int32")
    hidden = keras.layers.Embedding(10, 4, mask_zero=True)(tokens)
    model = keras.Model(tokens, keras.layers.Dense(3, activation="softmax")(hidden))
    model.compile(loss="sparse_categorical_crossentropy", metrics=[TokenAccuracy()])
    x = np.array([[1, 2, 3, 0], [4, 0, 0, 0]])
    y = np.array([[0, 1, 2, 0], [1, 0, 0, 0]])
    logs = model.evaluate(x, y, verbose=0, return_dict=True)
    right = (model.predict(x, verbose=0).argmax(-1) == y)[x > 0].mean()
    assert logs["accuracy"] == pytest.approx(right)


def test_shapes_are_checked():
    with pytest.raises(ValueError, match=r"`y_true` must be \(B, L\).*y_pred.shape=\(3,\)"):
        TokenAccuracy().update_state([1, 2, 3], [1, 2, 3])
