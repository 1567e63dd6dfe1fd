"""What the configurations and tokenizers of Hugging Face's folders say, and leave unsaid."""

import json

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from polysemy import zoo
from polysemy.zoo.bert.backbone import Bert


def edit(path, **changes):
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def test_classes_and_dropout_of_transformers(make_bert, fill_weights, tmp_path):
    """It leaves out its own names of two classes, and the dropout that is the encoder's."""
    for name, model in {
        "text": zoo.BertTextClassifier(make_bert(), num_classes=2, dropout=0.25),
        "tags": zoo.BertTagger(make_bert(pooling=None), tags=["O", "B-X"], dropout=0.25),
    }.items():
        fill_weights(model).save_as_huggingface(tmp_path / name)
        path = tmp_path / name / "config.json"
        assert type(model).from_checkpoint(tmp_path / name).dropout == 0.25
        edit(path, id2label=None, classifier_dropout=None, hidden_dropout_prob=0.5)
        loaded = type(model).from_checkpoint(tmp_path / name)
        assert getattr(loaded, "labels" if name == "text" else "tags") == ["LABEL_0", "LABEL_1"]
        assert loaded.dropout == 0.5
        for ours, expected in zip(loaded.weights, model.weights, strict=True):
            np.testing.assert_array_equal(ours, expected)
        edit(path, id2label={"0": "a", "2": "b"})
        with pytest.raises(ValueError, match="`id2label` must name the classes 0, 1, 2"):
            type(model).from_checkpoint(tmp_path / name)
    with pytest.raises(ValueError, match=r"`tags` must be distinct names.* Received: tags=\[\]"):
        edit(path, id2label=None)
        tensors = load_file(tmp_path / "tags" / "model.safetensors")
        kept = {name: x for name, x in tensors.items() if not name.startswith("classifier")}
        save_file(kept, tmp_path / "tags" / "model.safetensors")
        zoo.BertTagger.from_checkpoint(tmp_path / "tags")
    edit(
        tmp_path / "text" / "config.json", id2label=None, problem_type="multi_label_classification"
    )
    with pytest.raises(ValueError, match="`problem_type` must be .*='multi_label_classification'"):
        zoo.BertTextClassifier.from_checkpoint(tmp_path / "text")


def added(token, place, **options):
    return {"id": place, "content": token, "special": True, "normalized": False, **options}


def test_added_tokens(folder, tmp_path):
    """Special tokens that follow the vocabulary, or are of it, are found as they stand."""
    tensors = load_file(folder / "model.safetensors")
    for name in ("bert.embeddings.word_embeddings.weight", "cls.predictions.bias"):
        tensors[name] = np.concatenate([tensors[name], tensors[name][:1]])
    save_file(tensors, folder / "model.safetensors")
    edit(folder / "config.json", vocab_size=71)
    tokens = {"70": added("[E1]", 70), "7": added("sat", 7), "0": added("[PAD]", 0)}
    edit(folder / "tokenizer_config.json", added_tokens_decoder=tokens)
    model = zoo.BertMaskedLM.from_checkpoint(folder)
    model.save_as_huggingface(tmp_path / "again")
    for bert in (model.backbone, Bert.from_checkpoint(tmp_path / "again")):
        assert bert.specials == ["sat", "[E1]"] and bert.vocabulary[70] == "[E1]"
        ids = bert.preprocessor.tokenize_ids(["[E1]cat", "Unsat sat"]).merge_dims(1, 2)
        assert ids.to_list() == [[70, 6], [16, 7, 7]]
    for token, message in (
        (added("covid", 70, special=False), "must be special ones.*'covid' with {'special': False"),
        (added("[E1]", 70, normalized=True), "as they stand.*{'normalized': True}"),
        (added("[E1]", 72), "ids that follow its own.*'\\[E1\\]' with id 72, 70 tokens"),
    ):
        (folder / "tokenizer.json").write_text(json.dumps({"added_tokens": [token]}))
        with pytest.raises(ValueError, match=message):
            Bert.from_checkpoint(folder)


def test_vocabularies(folder):
    pieces = (folder / "vocab.txt").read_text().split()
    (folder / "vocab.txt").unlink()
    ids = {piece: i for i, piece in enumerate(pieces)}
    tokenizer = {
        "model": {"type": "WordPiece", "vocab": ids},
        "normalizer": {"lowercase": False, "strip_accents": None, "handle_chinese_chars": True},
    }
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))
    (folder / "tokenizer_config.json").unlink()
    bert = Bert.from_checkpoint(folder)
    assert (bert.vocabulary, bert.lowercase) == (pieces, False)
    other = {**tokenizer, "normalizer": {"type": "Lowercase"}}
    (folder / "tokenizer.json").write_text(json.dumps(other))
    with pytest.raises(ValueError, match="must have BERT's normalizer.* 'Lowercase'"):
        Bert.from_checkpoint(folder)
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))
    (folder / "tokenizer_config.json").write_text(
        json.dumps({"do_lower_case": True, "strip_accents": False})
    )
    with pytest.raises(ValueError, match="accents are stripped if and only if"):
        Bert.from_checkpoint(folder)
    (folder / "tokenizer.json").unlink()
    (folder / "tokenizer_config.json").unlink()
    bert = Bert.from_checkpoint(folder)
    assert bert.vocabulary is None and bert.preprocessor is None
    # Google's folders do not say whether text is made lower-case: the vocabulary does.
    (folder / "vocab.txt").write_text("\n".join([*pieces[:-1], "Cat"]) + "\n")
    assert Bert.from_checkpoint(folder).lowercase is False
