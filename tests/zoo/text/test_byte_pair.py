"""Byte-level BPE: by hand on a small vocabulary, and against `transformers` on hostile text."""

import os
import random
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from polysemy.zoo.text.byte_pair import BytePair
from polysemy.zoo.text.byte_pair_files import (
    BYTE_SYMBOLS,
    read_byte_pairs,
    vocabulary_of_merges,
    write_byte_pairs,
)

MERGES = (
    "h e,Ġ t,Ġt he,l l,o n,Ġ a,a a,aa a,i n,in g,' s,Ġ Ġ,ĠĠ Ġ,Ã ©,1 2,r e,Ċ Ċ,ð Ł,n d,Ġa nd,"
    "e r,t he,in on,ĺ Ģ"
).split(",")

# What this tokenizer splits by: white space of all kinds, contractions, digits, special tokens.
POOLS = (
    "abcdefghijklmnopqrstuvwxyz",
    " " * 6,
    " \n\t\r\v\f\x1c\x85",
    "\xa0\u2003\u2009\u202f\u3000\u2028\u2029\u1680\u205f\u200b\ufeff",
    "'s't're've'm'll'd'S'T",
    "0123456789½²Ⅷ٣१२३६",
    "Ĵ६ĠĊ",
    "<|>_.,!",
)
WORDS = ("the", "don't", "we've", "<|endoftext|>", "   ", "\n\n", "\t\t ")


def splitting_texts(number=400):
    draw = random.Random(0)
    texts = ["", " ", "  ", "\n", "a" * 500, "ab" * 300, " " * 50 + "x", "x" + " " * 50]
    texts += ["\n \n  \n", "<|endoftext|>", " <|endoftext|> a", "''s", "\ufeffabc", "<|endoftext|"]
    while len(texts) < number:
        text = ""
        for _ in range(draw.randint(1, 14)):
            if draw.random() < 0.4:
                text += draw.choice(WORDS) + draw.choice(["", " "])
            else:
                text += "".join(draw.choice(draw.choice(POOLS)) for _ in range(draw.randint(1, 6)))
        texts.append(text)
    return texts


@pytest.fixture(scope="module")
def small():
    return BytePair(vocabulary_of_merges(MERGES), MERGES)


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("the the", "the Ġthe"),
        ("and theyre", "a nd Ġthe y re"),
        ("it's 'string", "i t 's Ġ ' s t r ing"),
        ("aaaaa aaaa", "aa aaa Ġa aaa"),
        ("  a", "Ġ Ġa"),
        ("    a   ", "ĠĠĠ Ġa ĠĠĠ"),
        ("a\n\n\nb", "a ĊĊ Ċ b"),
        ("a \n b", "a Ġ Ċ Ġ b"),
        ("é 12 3", "Ã© Ġ 12 Ġ 3"),
        ("😀", "ðŁ ĺĢ"),
        ("he<|endoftext|>  on", "he <|endoftext|> Ġ Ġ on"),
        ("\xa0\xa0x", "Â ł Â ł x"),
        ("", ""),
    ],
)
def test_pieces_by_hand(small, text, tokens):
    ids = small([text])[0].numpy()
    assert [small.vocabulary[i] for i in ids] == tokens.split()
    assert small.decode([ids] if len(ids) else tf.ragged.constant([[]], tf.int32)) == text.encode()


def both(vocabulary, merges, folder):
    transformers = pytest.importorskip("transformers")
    write_byte_pairs(folder, vocabulary, merges)
    theirs = transformers.GPT2Tokenizer(str(folder / "vocab.json"), str(folder / "merges.txt"))
    return BytePair(vocabulary, merges), theirs


def compare(ours, theirs, texts):
    found = ours(texts).to_list()
    wrong = [t for t, ids in zip(texts, found, strict=True) if theirs(t)["input_ids"] != ids]
    assert not wrong, f"{len(wrong)} differ, such as {wrong[0]!a}"
    decoded = ours.decode(tf.ragged.constant(found, tf.int32)).numpy()
    assert [text.decode("utf-8") for text in decoded] == texts
    # Ids that no text has: characters cut anywhere.
    ids = np.random.default_rng(1).integers(0, len(ours), (300, 6))
    cut = [text.decode("utf-8") for text in ours.decode(ids).numpy()]
    assert cut == [theirs.decode(row) for row in ids]


def test_ids_equal_those_of_transformers(tmp_path, nasty):
    compare(*both(vocabulary_of_merges(MERGES), MERGES, tmp_path), splitting_texts() + nasty(1000))


@pytest.mark.skipif("POLYSEMY_DATA" not in os.environ, reason="POLYSEMY_DATA names the corpora")
def test_ids_of_the_published_vocabulary_equal_those_of_transformers(tmp_path, nasty):
    vocabulary, merges = read_byte_pairs(Path(os.environ["POLYSEMY_DATA"]) / "vocab/gpt2")
    assert len(vocabulary) == 50257 and len(merges) == 50000
    assert vocabulary_of_merges(merges) == vocabulary
    compare(*both(vocabulary, merges, tmp_path), splitting_texts() + nasty(1000))


def test_what_is_no_utf8_is_replaced(small):
    assert small.decode(small([b"a\xff\xc3b"])).numpy()[0].decode() == "a��b"


def test_decode_keeps_bytes_if_asked(small):
    ids = [[small.vocabulary.index(BYTE_SYMBOLS[0xF0]), small.vocabulary.index("a")]]
    assert small.decode(ids, errors="keep").numpy() == [b"\xf0a"]
    assert small.decode(ids).numpy() == ["\ufffda".encode()]
    end = small.vocabulary.index("<|endoftext|>")
    assert small.decode([[end, *ids[0][1:], -1]]).numpy() == [b"<|endoftext|>a"]
    assert small.decode([[end, *ids[0][1:], -1]], skip_specials=True).numpy() == [b"a"]
    with pytest.raises(ValueError, match='`errors` must be "replace" or "keep"'):
        small.decode(ids, errors="ignore")


def test_specials_can_be_plain_text():
    plain = BytePair(vocabulary_of_merges(MERGES), MERGES, specials=())
    ids = plain(["<|endoftext|>"])[0].numpy()
    assert len(ids) > 1 and plain.decode([ids]).numpy() == [b"<|endoftext|>"]


def test_the_longest_special_is_found():
    specials = ("<|a|>", "<|a|>:", "<b c>")
    tokenizer = BytePair(vocabulary_of_merges(MERGES, specials), MERGES, specials)
    first = len(tokenizer) - 3
    ids = tokenizer(["<|a|>: <b c><|a|>"])[0].numpy().tolist()
    assert [i - first for i in ids if i >= first] == [1, 2, 0] and len(ids) == 4


def test_tables_leave_with_a_saved_model(small, tmp_path):
    module = tf.Module()
    module.byte_pair = small
    module.ids = tf.function(
        lambda texts: small(texts).to_tensor(-1), [tf.TensorSpec([None], tf.string)]
    )
    module.text = tf.function(small.decode, [tf.TensorSpec([None, None], tf.int32)])
    tf.saved_model.save(module, str(tmp_path / "saved"))
    names = {path.name for path in (tmp_path / "saved/assets").iterdir()}
    assert names == {"byte_pairs.tsv", "tokens.txt"}
    (tmp_path / "saved").rename(tmp_path / "moved")
    loaded = tf.saved_model.load(str(tmp_path / "moved"))
    ids = loaded.ids(tf.constant(["the thing", "é"]))
    np.testing.assert_array_equal(ids, small(["the thing", "é"]).to_tensor(-1))
    assert loaded.text(ids).numpy().tolist() == [b"the thing", "é".encode()]


def test_bad_vocabularies():
    good = vocabulary_of_merges(MERGES)
    for vocabulary, merges, specials, message in (
        ([*good, "he"], MERGES, (), "each token once. Received twice: 'he'"),
        (good[1:], [], (), "all 256 bytes. Received: one without"),
        ([*good, "a b"], MERGES, (), r"other tokens must be among `specials`.*\['a b'\]"),
        (good, ["x y"], (), "`merges` must be pairs of tokens that make a third.*'x y'"),
        (good, ["he"], (), "`merges` must be pairs"),
        (good, MERGES, ("[END]",), r"`specials` must be in `vocabulary`. Received: \['\[END\]'\]"),
    ):
        with pytest.raises(ValueError, match=message):
            BytePair(vocabulary, merges, specials)


def test_bad_files(tmp_path):
    with pytest.raises(FileNotFoundError, match="encoder.json and vocab.bpe or vocab.json and"):
        read_byte_pairs(tmp_path)
    write_byte_pairs(tmp_path, ["a", "b", "ab"], ["a b"], names=("encoder.json", "vocab.bpe"))
    assert read_byte_pairs(tmp_path) == (["a", "b", "ab"], ["a b"])
    (tmp_path / "vocab.bpe").write_text("#version: 0.2\na b c\n")
    with pytest.raises(ValueError, match="two tokens a line. Received: 'a b c', merge 0"):
        read_byte_pairs(tmp_path)
    (tmp_path / "encoder.json").write_text('{"a": 0, "b": 2}')
    with pytest.raises(ValueError, match="ids 0 to 1, each once"):
        read_byte_pairs(tmp_path)
    (tmp_path / "encoder.json").write_text("{")
    with pytest.raises(ValueError, match="encoder.json must be JSON"):
        read_byte_pairs(tmp_path)
