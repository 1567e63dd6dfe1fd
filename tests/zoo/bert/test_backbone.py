"""BERT's graph: sizes, masks, outputs, saving, precision and the JAX backend."""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf

from polysemy.zoo.bert.backbone import Bert
from polysemy.zoo.bert.features import BertFeatures
from polysemy.zoo.bert.text_classifier import BertTextClassifier

TEXTS = ["the cat sat on the mat.", "unaffable", "who?"]


def run(bert, texts, arrays, pairs=None):
    return arrays(bert(bert.preprocessor(texts, pairs)))


@pytest.mark.parametrize(
    "size, weights",
    [
        ("tiny", 4_385_920),
        ("mini", 11_170_560),
        ("small", 28_763_648),
        ("medium", 41_373_184),
        ("base", 109_482_240),
        ("large", 335_141_888),
    ],
)
def test_published_sizes(size, weights, monkeypatch):
    """The numbers of weights of google-research/bert's encoders with the uncased vocabulary."""
    monkeypatch.setattr("polysemy.zoo.bert.backbone.initializer", lambda: "zeros")  # fast
    with keras.StatelessScope():  # the shapes alone: no memory is taken
        bert = Bert.from_size(size)
    assert sum(np.prod(v.shape, dtype=int) for v in bert.weights) == weights


def test_outputs(make_bert, arrays):
    outputs = run(make_bert(return_attention=True), TEXTS, arrays, ["a", "cats", ""])
    shapes = {name: array.shape for name, array in outputs.items()}
    length = shapes["sequence_output"][1]
    assert shapes == {
        "sequence_output": (3, length, 8),
        "layer_outputs": (3, 3, length, 8),
        "pooled_output": (3, 8),
        "attention": (3, 2, 2, length, length),
    }
    np.testing.assert_array_equal(outputs["layer_outputs"][:, -1], outputs["sequence_output"])
    np.testing.assert_allclose(outputs["attention"].sum(axis=-1), 1.0, atol=1e-6)


def test_embeddings_are_a_sum(make_bert, arrays):
    bert = make_bert()
    inputs = bert.preprocessor(["the cat"], ["sat"])
    layer = bert.embeddings
    tables = [
        keras.ops.convert_to_numpy(x)
        for x in (
            layer.token_embeddings,
            layer.segment_embeddings,
            layer.position_embedding.embeddings,
        )
    ]
    ids, segments = arrays(inputs)["token_ids"][0], arrays(inputs)["segment_ids"][0]
    x = tables[0][ids] + tables[1][segments] + tables[2][: len(ids)]
    x = (x - x.mean(axis=-1, keepdims=True)) / np.sqrt(x.var(axis=-1, keepdims=True) + 1e-12)
    x = x * layer.layer_norm.gamma.numpy() + layer.layer_norm.beta.numpy()
    np.testing.assert_allclose(arrays(bert(inputs))["layer_outputs"][0, 0], x, atol=1e-5)


@pytest.mark.parametrize("pooling", ["cls", "mean"])
def test_padding_changes_nothing(pooling, make_bert, arrays):
    bert = make_bert(pooling=pooling)
    together = run(bert, TEXTS, arrays)
    for row, text in enumerate(TEXTS):
        alone = run(bert, [text], arrays)
        length = alone["sequence_output"].shape[1]
        layers = together["layer_outputs"][row, :, :length]
        np.testing.assert_allclose(layers, alone["layer_outputs"][0], atol=1e-5)
        pooled = together["pooled_output"][row]
        np.testing.assert_allclose(pooled, alone["pooled_output"][0], atol=1e-5)


def test_mean_pooling(make_bert, arrays):
    bert = make_bert(pooling="mean")
    outputs = run(bert, TEXTS, arrays)
    mask = bert.preprocessor(TEXTS)["padding_mask"].numpy()
    means = [x[m].mean(axis=0) for x, m in zip(outputs["sequence_output"], mask, strict=True)]
    np.testing.assert_allclose(outputs["pooled_output"], means, atol=1e-6)
    assert "pooled_output" not in make_bert(pooling=None).output


def test_every_input_counts(make_bert, arrays):
    bert = make_bert()
    inputs = arrays(bert.preprocessor(["the cat"], ["sat on"]))
    expected = arrays(bert(inputs))["pooled_output"]
    changes = {
        "token_ids": np.where(inputs["token_ids"] == 6, 7, inputs["token_ids"]),
        "segment_ids": 0 * inputs["segment_ids"],
        "padding_mask": np.arange(7) < 5,
    }
    for name, value in changes.items():
        changed = {**inputs, name: np.broadcast_to(value, (1, 7))}
        assert np.abs(arrays(bert(changed))["pooled_output"] - expected).max() > 1e-4, name


@pytest.mark.parametrize("causal", [False, True])
def test_who_sees_whom(causal, make_bert, arrays):
    bert = make_bert(causal=causal)
    inputs = arrays(bert.preprocessor(["the cat sat on mat"]))
    ids = inputs["token_ids"].copy()
    ids[0, 3] = 20
    before = arrays(bert(inputs))["sequence_output"]
    after = arrays(bert({**inputs, "token_ids": ids}))["sequence_output"]
    changed = np.abs(before - after).max(axis=-1)[0] > 1e-5
    assert changed.tolist() == [not causal] * 3 + [True] * 4


def test_keras_file_and_config(make_bert, arrays, tmp_path):
    bert = make_bert(activation="gelu_tanh", pooling="mean", return_attention=True, lowercase=False)
    bert.save(tmp_path / "bert.keras")
    loaded = keras.models.load_model(tmp_path / "bert.keras")
    expected = run(bert, TEXTS, arrays)
    for name, array in run(loaded, TEXTS, arrays).items():
        np.testing.assert_array_equal(array, expected[name])
    config = json.loads(json.dumps(bert.get_config()))
    assert Bert.from_config(config).get_config() == bert.get_config() == loaded.get_config()


def test_preset_folder(make_bert, arrays, tmp_path):
    bert = make_bert()
    bert.save_to_preset(tmp_path / "preset")
    loaded = Bert.from_preset(tmp_path / "preset", dropout=0.3)
    assert loaded.dropout == 0.3
    expected = run(bert, TEXTS, arrays)
    for name, array in run(loaded, TEXTS, arrays).items():
        np.testing.assert_array_equal(array, expected[name])


def test_preset_without_its_pooler(make_bert, arrays, tmp_path):
    """A pooling without weights takes nothing from the weights that another one has."""
    bert = make_bert()
    bert.save_to_preset(tmp_path / "bert")
    BertTextClassifier(bert, num_classes=2).save_to_preset(tmp_path / "task")
    expected = run(bert, TEXTS, arrays)["sequence_output"]
    for folder, pooling in (("bert", "mean"), ("bert", None), ("task", "mean")):
        loaded = Bert.from_preset(tmp_path / folder, pooling=pooling)
        assert loaded.pooling == pooling and len(loaded.weights) == len(bert.weights) - 2
        np.testing.assert_array_equal(run(loaded, TEXTS, arrays)["sequence_output"], expected)
    Bert.from_preset(tmp_path / "bert", pooling="mean").save_to_preset(tmp_path / "mean")
    with pytest.raises(ValueError, match="missing tensor 'pooler/kernel'"):
        Bert.from_preset(tmp_path / "mean", pooling="cls")
    with pytest.raises(ValueError, match="superfluous tensor 'block_1/"):
        Bert.from_preset(tmp_path / "bert", pooling="mean", num_layers=1)


def test_mixed_precision(make_bert, arrays):
    expected = run(make_bert(), TEXTS, arrays)["sequence_output"]
    bert = make_bert(dtype="mixed_bfloat16")
    outputs = bert(bert.preprocessor(TEXTS))
    assert {x.dtype.name for x in outputs.values()} == {"bfloat16"}
    assert {v.dtype for v in bert.weights} == {"float32"}
    mask = bert.preprocessor(TEXTS)["padding_mask"].numpy()
    outputs = np.array(outputs["sequence_output"], dtype="float32")
    assert np.abs(outputs - expected)[mask].max() < 0.1 * np.abs(expected).max()


def test_every_weight_gets_a_gradient(make_bert, without_gradient):
    bert = make_bert(dropout=0.1, attention_dropout=0.1)
    inputs = bert.preprocessor(TEXTS, ["the"] * 3)

    def loss():
        return tf.reduce_sum(bert(inputs, training=True)["pooled_output"] ** 2)

    assert without_gradient(loss, bert.trainable_weights) == []


@pytest.mark.parametrize(
    "arguments, message",
    [
        (
            {"hidden_dim": 9},
            "`hidden_dim` must be divisible by `num_heads`. Received: hidden_dim=9",
        ),
        ({"num_layers": 0}, "`num_layers` must be at least 1. Received: num_layers=0"),
        ({"num_heads": 0}, "`num_heads` must be at least 1. Received: num_heads=0"),
        ({"num_segments": 0}, "`num_segments` must be at least 1. Received: num_segments=0"),
        ({"intermediate_dim": 0}, "`intermediate_dim` must be at least 1. Received: inter.*=0"),
        ({"max_length": 0}, "`max_length` must be at least 1. Received: max_length=0"),
        (
            {"sequence_length": 41},
            "`sequence_length` must be .* at most `max_length`. .*sequence_length=41, max_le",
        ),
        ({"sequence_length": 2}, "`sequence_length` must be at least 3, .* sequence_length=2"),
        ({"pooling": "max"}, '`pooling` must be "cls", "mean" or None'),
        ({"vocabulary": None}, "`vocabulary` or `vocabulary_size` must be given"),
        ({"vocabulary_size": 10}, "`vocabulary_size` must be at least the number of pieces"),
    ],
)
def test_errors(arguments, message, make_bert):
    with pytest.raises(ValueError, match=message):
        make_bert(**arguments)


def test_too_long_a_sequence(make_bert):
    ids = np.ones((1, 41), "int32")
    inputs = {"token_ids": ids, "segment_ids": 0 * ids, "padding_mask": ids > 0}
    with pytest.raises(ValueError, match=r"must fit `max_length`.* length=41, max_length=40"):
        make_bert()(inputs)


@pytest.mark.parametrize("rows", [0, 1])
def test_few_rows(rows, make_bert, arrays):
    """A batch of none or of one looks like a bias to Keras's addition."""
    bert = make_bert()
    inputs = arrays(bert.preprocessor(TEXTS))
    expected = arrays(bert(inputs))
    few = bert({name: x[:rows] for name, x in inputs.items()})
    for name, array in arrays(few).items():
        np.testing.assert_allclose(array, expected[name][:rows], atol=1e-5)


def test_unknown_size():
    with pytest.raises(ValueError, match="`size` must be one of .*'tiny'.* size='huge'"):
        Bert.from_size("huge")


@pytest.mark.parametrize("combine", ["concatenate", "sum", "separate"])
def test_features(combine, make_bert, arrays, tmp_path):
    bert = make_bert()
    features = BertFeatures(bert, layers=(0, -1), combine=combine)
    every = run(bert, TEXTS, arrays)["layer_outputs"]
    found = run(features, TEXTS, arrays)
    expected = {
        "concatenate": np.concatenate([every[:, 0], every[:, 2]], axis=-1),
        "sum": every[:, 0] + every[:, 2],
        "separate": every[:, 2],
    }[combine]
    np.testing.assert_allclose(found["sequence_output"], expected, atol=1e-6)
    assert found["pooled_output"].shape == (3, expected.shape[-1])
    if combine == "separate":
        np.testing.assert_array_equal(found["layer_outputs"], every[:, [0, 2]])
    features.save_to_preset(tmp_path / "preset")
    again = run(BertFeatures.from_preset(tmp_path / "preset"), TEXTS, arrays)
    np.testing.assert_array_equal(again["sequence_output"], found["sequence_output"])


@pytest.mark.parametrize("layers", [(), (3,), (-4,)])
def test_layers_that_are_not_there(layers, make_bert):
    with pytest.raises(ValueError, match="`layers` must be layers out of the 3 that there are"):
        BertFeatures(make_bert(), layers=layers)
