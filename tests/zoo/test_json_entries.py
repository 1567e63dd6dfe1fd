"""JSON files of other shapes than they should have: refused by name."""

import copy
import json

import pytest

from polysemy import zoo
from polysemy.zoo.bert.vocabulary import read_vocabulary as read_bert
from polysemy.zoo.gpt2.vocabulary import read_vocabulary as read_gpt2

PIECES = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "b"]
ADDED = {"id": 7, "content": "<x>", "special": True}
BERT = {
    "model": {"type": "WordPiece", "vocab": {piece: i for i, piece in enumerate(PIECES)}},
    "normalizer": {"type": "BertNormalizer", "lowercase": True},
    "added_tokens": [ADDED],
}
GPT2 = {
    "model": {"type": "BPE", "vocab": {"a": 0, "b": 1, "ab": 2}, "merges": [["a", "b"]]},
    "pre_tokenizer": {"type": "ByteLevel"},
    "post_processor": {"single": [{"Sequence": {"id": "A"}}]},
    "added_tokens": [{**ADDED, "id": 3}],
}
WRONG = (-1, 1.5, True, "x", [1], [[]], [None], {"a": [2]}, {"id": "z"}, {"type": 3})


def places(content, place=()):
    """The keys that lead to each value of a document."""
    yield place
    if isinstance(content, dict | list):
        pairs = content.items() if isinstance(content, dict) else enumerate(content)
        for key, value in pairs:
            yield from places(value, (*place, key))


def replaced(content, place, value):
    if not place:
        return value
    content = copy.deepcopy(content)
    inner = content
    for key in place[:-1]:
        inner = inner[key]
    inner[place[-1]] = value
    return content


@pytest.mark.parametrize("read, content", [(read_bert, BERT), (read_gpt2, GPT2)])
def test_what_is_whole_is_read(read, content, tmp_path):
    (tmp_path / "tokenizer.json").write_text(json.dumps(content))
    found = read(tmp_path)
    assert found["vocabulary"] == [*content["model"]["vocab"], "<x>"]
    assert found["specials"] == ["<x>"]
    assert found.get("merges", ["a b"]) == ["a b"]


@pytest.mark.parametrize("read, content", [(read_bert, BERT), (read_gpt2, GPT2)])
def test_whatever_is_not_is_refused_by_file(read, content, tmp_path):
    """Or read, where the value is of no importance."""
    path, refused = tmp_path / "tokenizer.json", 0
    for place in places(content):
        for value in WRONG:
            path.write_text(json.dumps(replaced(content, place, value)))
            try:
                read(tmp_path)
            except ValueError as error:
                refused += 1
                assert "tokenizer.json" in str(error) or str(tmp_path) in str(error), error
    assert refused > 100


@pytest.mark.parametrize(
    "read, content, place, value, message",
    [
        (read_bert, BERT, ("model",), [1], r"`model` in tokenizer.json must be an object.*\[1\]"),
        (read_bert, BERT, ("normalizer",), "x", "`normalizer` in tokenizer.json must be an object"),
        (read_bert, BERT, ("model", "vocab", "a"), "5", "must map tokens to the ids 0 to 6"),
        (read_bert, BERT, ("model", "vocab"), ["a"], r"`vocab` in .* an object. Received: \['a'\]"),
        (read_bert, BERT, ("added_tokens",), {}, "`added_tokens` in tokenizer.json must be a list"),
        (read_bert, BERT, ("added_tokens", 0), {"id": 7}, "must have a `content` and a whole"),
        (read_gpt2, GPT2, ("model", "merges", 0), "a", "Each of `merges` .* two tokens.*'a' in"),
        (read_gpt2, GPT2, ("model", "merges"), 3, "`merges` in tokenizer.json must be a list"),
        (read_gpt2, GPT2, ("post_processor",), [], "`post_processor` in .* must be an object"),
    ],
)
def test_messages(read, content, place, value, message, tmp_path):
    (tmp_path / "tokenizer.json").write_text(json.dumps(replaced(content, place, value)))
    with pytest.raises(ValueError, match=message):
        read(tmp_path)


@pytest.mark.parametrize("entry", [[], {"7": 3}, {"7": {"special": True}}, {"x": ADDED}])
def test_added_tokens_of_the_configuration(entry, tmp_path):
    (tmp_path / "vocab.txt").write_text("\n".join(PIECES))
    config = {"added_tokens_decoder": entry}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(config))
    with pytest.raises(ValueError, match=r"tokenizer_config\.json must"):
        read_bert(tmp_path)


def test_ids_of_two_files_for_byte_pairs(tmp_path):
    (tmp_path / "merges.txt").write_text("#version: 0.2\na b\n")
    (tmp_path / "vocab.json").write_text('{"a": [0]}')
    with pytest.raises(ValueError, match="vocab.json must map tokens to the ids 0 to 0"):
        read_gpt2(tmp_path)


@pytest.mark.parametrize("name", ["Bert", "GPT2"])
def test_configurations_that_are_refused_by_file(name, tmp_path):
    """Each number and each name, replaced by what it cannot be."""
    sizes = {"num_layers": 1, "num_heads": 2, "hidden_dim": 8, "vocabulary_size": 300}
    cls = getattr(zoo, name)
    cls(**sizes).save_as_huggingface(tmp_path)
    path = tmp_path / "config.json"
    config = json.loads(path.read_text())
    refused = 0
    for key in config:
        for value in (-1, 1.5, "x", [], {}, 10**30):
            path.write_text(json.dumps({**config, key: value}))
            try:
                cls.from_checkpoint(tmp_path)
            except ValueError:
                refused += 1
    assert refused > 50
