"""Models whose weights have no values until a file's are there: none may be left out."""

import json

import numpy as np
import pytest

from polysemy import zoo

BERT = {"vocabulary_size": 30, "num_layers": 2, "num_heads": 2, "hidden_dim": 8}
GPT2 = {"vocabulary_size": 300, "num_layers": 2, "num_heads": 2, "hidden_dim": 8}
ELMO = {"filters": [[1, 3], [2, 4]], "hidden_dim": 8, "projection_dim": 4}
ELMO |= {"num_highway_layers": 1, "character_embedding_dim": 4}

PUBLISHED = {
    "encoder": lambda: zoo.Bert(**BERT),
    "averaging encoder": lambda: zoo.Bert(**BERT, pooling="mean"),
    "pretrainer": lambda: zoo.BertPretrainer(zoo.Bert(**BERT)),
    "classifier": lambda: zoo.BertTextClassifier(zoo.Bert(**BERT), num_classes=3),
    "reader": lambda: zoo.BertSpanQA(zoo.Bert(**BERT)),
    "decoder": lambda: zoo.GPT2(**GPT2),
}
PRESETS = {
    **PUBLISHED,
    "language model": lambda: zoo.GPT2CausalLM(zoo.GPT2(**GPT2)),
    "elmo": lambda: zoo.ElmoLM(zoo.Elmo(**ELMO), ["<S>", "</S>", "<UNK>", "a", "cat"]),
}


def equal(model, loaded):
    assert len(model.weights) == len(loaded.weights)
    for theirs, ours in zip(model.weights, loaded.weights, strict=True):
        np.testing.assert_array_equal(ours, theirs, err_msg=ours.path)


@pytest.mark.parametrize("name", PUBLISHED)
def test_of_a_checkpoint(name, poison, tmp_path):
    model = PUBLISHED[name]()
    assert poison == []
    model.save_as_huggingface(tmp_path / "folder")
    equal(model, type(model).from_checkpoint(tmp_path / "folder"))
    assert poison


@pytest.mark.parametrize("name", PRESETS)
def test_of_a_preset(name, poison, tmp_path):
    model = PRESETS[name]()
    model.save_to_preset(tmp_path / "folder")
    equal(model, type(model).from_preset(tmp_path / "folder"))
    assert poison


def test_a_new_head_on_a_loaded_encoder(poison, tmp_path):
    zoo.Bert(**BERT).save_as_huggingface(tmp_path / "folder")
    encoder = zoo.Bert.from_checkpoint(tmp_path / "folder")
    count = len(poison)
    classifier = zoo.BertTextClassifier(encoder, num_classes=3)
    assert len(poison) == count
    assert all(np.all(np.isfinite(weight)) for weight in classifier.weights)


@pytest.mark.parametrize("name, key", [("encoder", "num_hidden_layers"), ("decoder", "n_layer")])
def test_more_layers_than_tensors_are_not_built(name, key, tmp_path):
    model = PUBLISHED[name]()
    model.save_as_huggingface(tmp_path / "folder")
    path = tmp_path / "folder" / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), key: 10**30}))
    with pytest.raises(ValueError, match=f"configuration must be that of the .* {10**30} layers"):
        type(model).from_checkpoint(tmp_path / "folder")
