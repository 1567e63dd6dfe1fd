"""Files of published checkpoints that are broken, or of another model."""

import json

import pytest

from polysemy.zoo.bert.backbone import Bert


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"hidden_size": "gone"}, "hidden_size is missing"),
        ({"num_hidden_layers": 0}, "num_hidden_layers must be a positive integer, not 0"),
        ({"hidden_dropout_prob": 1.5}, r"hidden_dropout_prob must be in \[0, 1\), not 1.5"),
        ({"hidden_act": "swish"}, "hidden_act must be one of .* not 'swish'"),
        ({"model_type": "roberta"}, "must be of a BERT encoder.*model_type='roberta'"),
        ({"position_embedding_type": "relative_key"}, "absolute positions"),
        ({"hidden_size": 10}, "does not fit"),
        ({"vocab_size": 71}, "one piece for each token vector. Received: 70 pieces, 71 vectors"),
    ],
)
def test_configurations_that_are_refused(changes, message, folder):
    path = folder / "config.json"
    config = {**json.loads(path.read_text()), **changes}
    path.write_text(json.dumps({key: value for key, value in config.items() if value != "gone"}))
    with pytest.raises(ValueError, match=message):
        Bert.from_checkpoint(folder)


def test_broken_files(folder):
    (folder / "model.safetensors").write_bytes(b"no tensors")
    with pytest.raises(ValueError, match="must be a whole safetensors file"):
        Bert.from_checkpoint(folder)
    (folder / "model.safetensors").unlink()
    with pytest.raises(FileNotFoundError, match="must hold model.safetensors"):
        Bert.from_checkpoint(folder)
    (folder / "config.json").write_text("{")
    with pytest.raises(ValueError, match="config.json must be JSON"):
        Bert.from_checkpoint(folder)


@pytest.mark.parametrize(
    "name, content, message",
    [
        ("model.safetensors.index.json", b"{}", "must have a `weight_map` from tensors to files"),
        ("model.safetensors.index.json", b'{"weight_map": {"a": 1}}', "must have a `weight_map`"),
        ("model.safetensors.index.json", b"{", "must be JSON"),
        ("tokenizer_config.json", b"{", "must be JSON"),
        ("tokenizer_config.json", b"[]", "must be a JSON object"),
        ("tokenizer.json", b"\xff", "must be JSON"),
        ("vocab.txt", b"[PAD]\n\xff\n", "must be UTF-8"),
    ],
)
def test_broken_texts_are_named(name, content, message, folder):
    if name == "tokenizer.json":
        (folder / "vocab.txt").unlink()
    if name == "model.safetensors.index.json":
        (folder / "model.safetensors").unlink()
    (folder / name).write_bytes(content)
    with pytest.raises(ValueError, match=f"{name} {message}.* Received: '/.*/hf/{name}'"):
        Bert.from_checkpoint(folder)
