"""WordPiece against the published tokenizer: every character, and strings that are nasty."""

import hashlib
import json

import numpy as np
import pytest
import tensorflow as tf

from polysemy.zoo.text.word_piece import SPECIAL, WordPiece
from polysemy.zoo.text.word_piece_characters import ALONE, DROP, SPACE, character_table

WORDS = ("the", "play", "##ing", "##s", "token", "##ization", "un", "##aff", "##able", "istanbul")
# Of the ids that transformers 5.23 gives 1,000 nasty strings, by `digest`.
PUBLISHED = {
    True: "be81ed828275389c1b23bd9838bd54091fa6ab3cf5be0cc43af580674958ad65",
    False: "d01a4934ce57b4105c62b1238821715ca0da0d3b70b7ca59a420457cf64550b8",
}


@pytest.fixture(scope="module")
def vocabulary(nasty):
    """The special tokens, some words, and two in three of the characters that occur."""
    table = character_table(lowercase=True)
    characters = set()
    for letter in sorted(set("".join(nasty(1000)))):
        characters |= {letter, *folded(table, ord(letter))[1]}
    characters = sorted(characters - set(" \t\n\r\x0b\x0c\x85\u2028"))
    pieces = [x for i, x in enumerate(characters) if i % 3]
    ends = [f"##{x}" for i, x in enumerate(characters) if i % 4]
    return [*SPECIAL, *dict.fromkeys([*WORDS, *pieces, *ends])]


def folded(table, code):
    """What the table makes of a character: its kind, and the characters that stand for it."""
    row = table.blocks[code // 256], code % 256
    first, *others = table.letters[row]
    return table.kinds[row], [chr(code + first), *(chr(x) for x in others if x)]


def digest(ids):
    return hashlib.sha256(json.dumps(ids).encode()).hexdigest()


def flat(pieces):
    return pieces.merge_dims(1, 2).to_list()


@pytest.mark.parametrize("lowercase", [True, False], ids=["uncased", "cased"])
def test_recorded_ids(lowercase, vocabulary, nasty):
    ids = flat(WordPiece(vocabulary, lowercase)(nasty(1000)))
    assert digest(ids) == PUBLISHED[lowercase]


@pytest.mark.parametrize("lowercase", [True, False], ids=["uncased", "cased"])
def test_ids_and_offsets_of_transformers(lowercase, vocabulary, nasty):
    transformers = pytest.importorskip("transformers")
    ids = {piece: i for i, piece in enumerate(vocabulary)}
    published = transformers.BertTokenizer(vocab=ids, do_lower_case=lowercase)
    strings = nasty(1000)
    expected = published(strings, add_special_tokens=False, return_offsets_mapping=True)
    tokenizer = WordPiece(vocabulary, lowercase)
    pieces = tokenizer.with_offsets(strings)
    assert flat(pieces.ids) == expected["input_ids"]
    offsets = [
        list(zip(starts, ends, strict=True))
        for starts, ends in zip(flat(pieces.starts), flat(pieces.ends), strict=True)
    ]
    assert offsets == expected["offset_mapping"]
    assert flat(tokenizer(strings)) == expected["input_ids"]
    unknown = sum(row.count(ids["[UNK]"]) for row in expected["input_ids"])
    assert 100 < unknown < sum(map(len, expected["input_ids"])) / 3  # the strings are nasty enough


@pytest.mark.parametrize("lowercase", [True, False], ids=["uncased", "cased"])
def test_every_character(lowercase):
    tokenizers = pytest.importorskip("tokenizers")
    normalizer = tokenizers.normalizers.BertNormalizer(lowercase=lowercase)
    splitter = tokenizers.pre_tokenizers.BertPreTokenizer()
    table = character_table(lowercase)
    wrong = []
    for code in (*range(0xD800), *range(0xE000, 0x20000), *range(0x2F7F0, 0x2FA30), 0xE0041):
        kind, letters = folded(table, code)
        normal = normalizer.normalize_str(chr(code))
        words = [] if not normal.strip() else [x for x, _ in splitter.pre_tokenize_str(normal)]
        if kind in (DROP, SPACE):
            right = not words and normal == ("" if kind == DROP else " ")
        else:
            alone = len(splitter.pre_tokenize_str(f"a{normal}a")) == 3
            right = words == ["".join(letters)] and alone == (kind == ALONE)
        if not right:
            wrong.append(hex(code))
    assert wrong == []


def test_offsets_are_characters_of_the_text(vocabulary):
    text = "\tNaïve  \u0301playing,\u200b 猫x [MASK]y 😀"
    pieces = WordPiece(list(dict.fromkeys([*vocabulary, *"xy猫😀,", "naive"]))).with_offsets([text])
    cut = [text[a:b] for a, b in zip(flat(pieces.starts)[0], flat(pieces.ends)[0], strict=True)]
    assert cut == ["Naïve", "play", "ing", ",", "猫", "x", "[MASK]", "y", "😀"]


def test_unusual_batches(vocabulary):
    tokenizer = WordPiece(vocabulary)
    assert tokenizer([]).to_list() == []
    assert tokenizer(["", " \n", "\u0301", "the"]).to_list() == [[], [], [], [[5]]]
    assert flat(tokenizer([b"\xff\xfe the \xc3"])) == [[5]]
    assert flat(tokenizer(["the[MAS", "K] the[SEP]the"]))[1][-3:] == [5, 3, 5]
    empty = tokenizer.with_offsets(["", ""])
    assert [x.to_list() for x in empty] == [[[], []]] * 3


def test_long_words():
    pieces = [*SPECIAL, "zz", "##zz"]
    tokenizer = WordPiece(pieces, max_characters=10)
    assert flat(tokenizer(["z" * 10, "z" * 11, "z" * 10])) == [
        [5, 6, 6, 6, 6],
        [1],
        [5, 6, 6, 6, 6],
    ]


def test_in_a_saved_model(vocabulary, nasty, tmp_path):
    """With the vocabulary as an asset, and the folder moved."""
    tokenizer = WordPiece(vocabulary)
    root = tf.Module()
    root.tokenizer = tokenizer
    root.ids = tf.function(
        lambda texts: tokenizer(texts).merge_dims(1, 2).to_tensor(-1),
        input_signature=[tf.TensorSpec([None], tf.string)],
    )
    tf.saved_model.save(root, str(tmp_path / "saved"))
    (tmp_path / "saved").rename(tmp_path / "moved")
    reloaded = tf.saved_model.load(str(tmp_path / "moved"))
    strings = nasty(60)
    np.testing.assert_array_equal(reloaded.ids(tf.constant(strings)), root.ids(strings))
    (asset,) = (tmp_path / "moved" / "assets").iterdir()
    assert asset.read_text(encoding="utf-8").split("\n")[:-1] == vocabulary


def test_further_special_tokens(vocabulary, nasty):
    """Those of `transformers`, wherever they stand, the longest where two begin alike."""
    specials = ["[E1]", "[E1]:", "[/E1]", "<e x>", "the"]
    tokenizer = WordPiece([*vocabulary, *specials[:4]], specials=specials)
    strings = [*nasty(100), "[E1]Play[/E1] [E1]:the<e x>", "[E1", "[E1[E1]]x[e1]", "lathe"]
    found = flat(tokenizer(strings))
    assert [len(row) for row in found[-4:-2]] == [6, 3] and tokenizer.id_of("the") in found[-1]
    transformers = pytest.importorskip("transformers")
    published = transformers.BertTokenizer(vocab={x: i for i, x in enumerate(vocabulary)})
    published.add_tokens(specials, special_tokens=True)
    assert found == published(strings, add_special_tokens=False)["input_ids"]


@pytest.mark.parametrize(
    "specials, message",
    [
        (["[E1]"], r"`specials` must be in `vocabulary`. Received: \['\[E1\]'\]"),
        (["aab", "ba"], "must not begin within one another. Received: 'ba' begins within 'aab'"),
        (["aab", "a"], "Received: 'a' begins within 'aab'"),
    ],
)
def test_special_tokens_that_cannot_be_found(specials, message):
    with pytest.raises(ValueError, match=message):
        WordPiece([*SPECIAL, "aab", "ba", "a"], specials=specials)


def test_special_tokens_are_needed():
    with pytest.raises(ValueError, match=r"`vocabulary` must hold .* without \[CLS\], \[MASK\]"):
        WordPiece(["[PAD]", "[UNK]", "[SEP]", "a"])
