"""Vocabularies in one file, and tokens that were added to them."""

import json

import numpy as np
import pytest

from polysemy.zoo import GPT2, GPT2CausalLM
from polysemy.zoo.text.byte_pair_files import write_byte_pairs


def added(token, place, **options):
    return {"id": place, "content": token, "special": True, "normalized": False, **options}


def tokenizer(files, *tokens, **changes):
    """What the `tokenizers` library writes."""
    vocabulary = {token: i for i, token in enumerate(files.VOCABULARY)}
    merges = [merge.split(" ") for merge in files.MERGES]
    return {
        "added_tokens": [added("<|endoftext|>", 266), *tokens],
        "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": False, "use_regex": True},
        "model": {"type": "BPE", "vocab": vocabulary, "merges": merges},
        **changes,
    }


@pytest.fixture
def folder(files, tmp_path):
    """A model that was resized for one token more, and has a head of another task."""
    arrays = files.tensors({**files.CONFIG, "vocab_size": 268})
    arrays["score.weight"] = np.zeros((2, 24), "f4")
    return files.write(tmp_path / "hf", {**files.CONFIG, "vocab_size": 268}, arrays)


def test_one_file_and_an_added_token(folder, files, tmp_path):
    content = tokenizer(files, added("[PAD]", 267))
    (folder / "tokenizer.json").write_text(json.dumps(content))
    content["model"]["merges"] = files.MERGES  # as older versions write them
    one = GPT2.from_checkpoint(folder)
    (folder / "tokenizer.json").write_text(json.dumps(content))
    assert GPT2.from_checkpoint(folder).get_config() == one.get_config()
    assert one.vocabulary == [*files.VOCABULARY, "[PAD]"] and one.specials == ["[PAD]"]
    one.save_as_huggingface(tmp_path / "again")
    again = GPT2CausalLM.from_checkpoint(tmp_path / "again")
    assert again.backbone.get_config() == one.get_config()
    text = "the[PAD] the<|endoftext|>[PAD"
    ids = again.preprocessor.byte_pair([text])
    assert [i for i in ids[0].numpy() if i > 265] == [267, 266]
    assert again.preprocessor.decode(ids).numpy()[0].decode() == text
    kept = again.preprocessor.decode(ids, skip_specials=True).numpy()[0]
    assert kept == b"the the[PAD"
    transformers = pytest.importorskip("transformers")
    theirs = transformers.AutoTokenizer.from_pretrained(tmp_path / "again")
    assert theirs(text)["input_ids"] == ids[0].numpy().tolist()


@pytest.mark.parametrize(
    "changes, options, message",
    [
        ({}, {"add_prefix_space": True}, "must be GPT-2's.* add_prefix_space must be False"),
        ({}, {"add_bos_token": True}, "add_bos_token must be False"),
        ({"normalizer": {"type": "NFC"}}, {}, "there must be no normalizer"),
        ({"pre_tokenizer": {"type": "Metaspace"}}, {}, "the pre_tokenizer must be ByteLevel"),
        ({"post_processor": {"single": [1, 2]}}, {}, "must put nothing around a text"),
        ({"model": {"type": "Unigram"}}, {}, "must be of a BPE model.* of type 'Unigram'"),
        ({"added_tokens": [added("covid", 267, special=False)]}, {}, "must be special ones"),
        ({}, {}, "267 tokens, 268 vectors in .* To read ids, not text, pass vocabulary=None"),
    ],
)
def test_tokenizers_that_are_refused(changes, options, message, folder, files):
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer(files, **changes)))
    (folder / "tokenizer_config.json").write_text(json.dumps(options))
    with pytest.raises(ValueError, match=message):
        GPT2.from_checkpoint(folder)
    assert GPT2.from_checkpoint(folder, vocabulary=None).vocabulary is None
    if "model" not in changes:
        write_byte_pairs(folder, files.VOCABULARY, files.MERGES)
        with pytest.raises(ValueError, match=message):
            GPT2.from_checkpoint(folder)
