"""Any backbone fits into the tagger; what of it learns is as configured."""

import keras
import numpy as np
import pytest

from polysemy.zoo.backbone import Backbone
from polysemy.zoo.tagger.model import Tagger

KINDS = ("none", "elmo", "table", "pieces")
SENTENCES = ["the cat sat in Ōsaka today", "the", "cats"]


@pytest.fixture(scope="module", params=KINDS)
def tagger(request, make_tagger):
    return make_tagger(request.param, encoder_at="both")


@pytest.fixture(scope="module")
def forward(tagger, traced):
    return traced(tagger)


def trainable_flags(model):
    return {weight.path: weight.trainable for weight in model.weights}


def test_outputs(tagger, forward, num_layers):
    inputs = tagger.preprocessor(SENTENCES)
    outputs = forward(inputs)
    mask = inputs["padding_mask"].numpy()
    assert outputs["logits"].shape == (3, 6, 5)
    np.testing.assert_allclose(outputs["probabilities"].sum(-1), mask, atol=1e-5)
    assert outputs["tag_ids"].dtype == "int32" and not outputs["tag_ids"][~mask].any()
    weights = tagger.layer_weights()
    if tagger.backbone is None:
        assert weights == {}
        return
    assert list(weights) == ["input", "first_lstm"]
    for values in weights.values():
        assert len(values) == num_layers[tagger.backbone.name]
        assert sum(values) == pytest.approx(1)
    if tagger.backbone.name != "table":  # a softmax over one layer is 1
        assert weights["input"] != weights["first_lstm"]


def test_padding_changes_nothing(tagger, forward):
    together = forward(tagger.preprocessor([*SENTENCES, ""]))
    for row, sentence in enumerate(SENTENCES):
        alone = forward(tagger.preprocessor([sentence]))
        length = len(sentence.split())
        for name in ("logits", "probabilities", "tag_ids"):
            np.testing.assert_allclose(
                together[name][row, :length], alone[name][0], atol=2e-6, err_msg=name
            )
    for values in together.values():
        assert np.isfinite(values).all()


def test_each_word_reads_its_own_encoding(tagger, forward):
    """Another last word changes the encoder's vectors at the input, and so the tags' scores."""
    if tagger.backbone is None:
        return
    inputs = tagger.preprocessor(["the cat sat"])
    expected = forward(inputs)["logits"]
    other = tagger.preprocessor(["cat cat sat"])
    encoder_only = {name: other[name] if "encoder_" in name else inputs[name] for name in inputs}
    assert np.abs(forward(encoder_only)["logits"] - expected).max() > 1e-3


@pytest.mark.parametrize("save", ["keras", "preset"])
def test_round_trip(tagger, forward, arrays, tmp_path, save):
    if save == "keras":
        tagger.save(tmp_path / "tagger.keras")
        loaded = keras.saving.load_model(tmp_path / "tagger.keras")
    else:
        tagger.save_to_preset(tmp_path / "preset")
        loaded = Tagger.from_preset(tmp_path / "preset")
    assert isinstance(loaded, Tagger)
    assert loaded.get_config() == tagger.get_config()
    assert trainable_flags(loaded) == trainable_flags(tagger)
    expected = forward(tagger.preprocessor(SENTENCES))
    found = arrays(loaded(loaded.preprocessor(SENTENCES)))
    for name, values in expected.items():
        np.testing.assert_allclose(found[name], values, atol=1e-6)
    if save == "preset" and tagger.backbone is not None:
        backbone = Backbone.from_preset(tmp_path / "preset")
        assert type(backbone) is type(tagger.backbone)
        for one, other in zip(backbone.weights, tagger.backbone.weights, strict=True):
            np.testing.assert_array_equal(one, other)


def step(tagger):
    """One step of gradient descent. Returns the paths of the weights that changed.

    Keras warns of a weight that the loss does not reach, and a warning is an error here.
    """
    tagger.compile(keras.optimizers.SGD(0.5), run_eagerly=True)
    before = {w.path: w.numpy() for w in tagger.weights}
    inputs = tagger.preprocessor(SENTENCES)
    labels = np.array([[0, 0, 0, 0, 1, 0], [0] * 6, [3] + [0] * 5])
    tagger.train_on_batch(inputs, labels)
    return {w.path for w in tagger.weights if np.abs(w.numpy() - before[w.path]).max() > 0}


@pytest.mark.parametrize("kind", KINDS[1:])
@pytest.mark.parametrize("training", ["frozen", "mix", "full"])
def test_what_learns(make_tagger, kind, training):
    tagger = make_tagger(kind, encoder_training=training, num_layers=1)
    encoder = {w.path for w in tagger.backbone.weights}
    mix = {w.path for w in tagger.mixes["input"].weights}
    trainable = {w.path for w in tagger.trainable_weights}
    changed = step(tagger)
    assert changed == trainable
    assert {w.path for w in tagger.weights} - encoder - mix <= trainable
    assert mix <= trainable if training != "frozen" else not mix & trainable
    if training != "full":
        assert not encoder & trainable
    else:
        unused = {p for p in encoder if "scalar_mix" in p or "pooler" in p}
        assert encoder & trainable == encoder - unused


@pytest.mark.parametrize("at", ["input", "first_lstm"])
def test_places(make_tagger, at):
    tagger = make_tagger("elmo", encoder_at=at)
    assert list(tagger.layer_weights()) == [at]
    widths = {name: tagger.get_layer(name).input[0].shape[-1] for name in ("lstm_0", "lstm_1")}
    plain = 3 + 3  # word vector, characters
    if at == "input":
        assert widths == {"lstm_0": plain + 8, "lstm_1": 10}
    else:
        assert widths == {"lstm_0": plain, "lstm_1": 10 + 8}


def test_top_layer_alone_has_a_scale(make_tagger, arrays):
    tagger = make_tagger("elmo", encoder_layers="top")
    (mix,) = tagger.mixes.values()
    assert mix.num_tensors == 1 and mix.gamma.trainable
    inputs = tagger.preprocessor(SENTENCES)
    probe = keras.Model(tagger.inputs, mix.output)
    elmo = arrays(tagger.backbone(tagger.backbone.preprocessor(SENTENCES)))
    np.testing.assert_allclose(
        probe(inputs), elmo["layer_outputs"][:, -1] * mix.gamma.numpy(), atol=1e-6
    )
