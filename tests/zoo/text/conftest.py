"""Strings that tokenizers disagree about, drawn from a seed."""

import random

import pytest

KINDS = (
    "abcdefghijklmnopqrstuvwxyz",
    "ABCDEFGHIJKLMNOPQRSTUVWXYZ",
    "  \t\n\r\u00a0\u2003\u3000\u2028",
    "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~«»¡¿…—‘’“”§¶·",
    "àéîõüçñßøåæœşğıİǅǈŉẞéàö",
    "\u0300\u0301\u0302\u0308\u0327\u0332\u20dd\u0489\u1ab0",
    "ΑΒΓΔΣσςάώϓΐᾳἈ",
    "БДЖЙЁйёїЎѶ",
    "אבגּשׁ",
    "ابتثةآأؤًٌّ،؟",
    "अआकखि्ंड़ক়ৌৠ",
    "กขคำ้์ฯ๏",
    "漢字猫犬喜愛豈更車\u4dbf\ufa0e\U00020000\U0002a6dd\U0002f800\U0002b820",
    "あいうがぎパピー・゛カ゚、。",
    "한국어각힣ㄱᄀ",
    "😀👩‍👩‍👧‍👦🇫🇷✌🏽❤️☃",
    "\x00\x01\x07\x0b\x0c\x1c\x1f\x7f\x85\u200b\u200d\u200e\u2060\ufeff\ufffd\ue000\U000e0041",
    "０１２ＡＢＣａｂｃ！？ﬁﬂ①②½²³™Ⅳ",
    "0123456789",
    "𝔸𝕓𝒸𝟘𐐀𐐨𞤀ᲐაꭰᎠⱯ≠≮`Å",
)
WORDS = (
    *("[MASK]", "[CLS]", "[SEP]", "[UNK]", "[PAD]", "[mask]", "[MASK", "MASK]", "[[MASK]]"),
    *(
        "[ MASK ]",
        "[unused1]",
        "##ing",
        "##",
        "don't",
        "e-mail",
        "naïve",
        "U.S.A.",
        "3.14",
        "x" * 99,
    ),
    *(
        "x" * 100,
        "x" * 101,
        "é" * 60,
        "猫" * 120,
        "ab" * 60,
        "ö" * 101,
        "한" * 40,
        "unaffable",
        "the",
    ),
    *("playing", "tokenization", "Istanbul", "İSTANBUL", "ΌΣΟΣ", "Straße", "https://a.b/c?d=e"),
)


def nasty_strings(number, seed=2018):
    """`number` strings; the first are the extremes."""
    generator = random.Random(seed)
    strings = ["", " ", "\n\t", "\x00", "[MASK]", "[MASK][MASK]a[SEP]", "a" * 1000, "\u0301", "##"]
    strings += list(WORDS)
    while len(strings) < number:
        parts = []
        for _ in range(generator.randint(1, 12)):
            choice = generator.random()
            if choice < 0.3:
                parts.append(generator.choice(WORDS))
            elif choice < 0.8:
                letters = generator.choice(KINDS)
                parts.append("".join(generator.choices(letters, k=generator.randint(1, 8))))
            elif choice < 0.9:
                everything = "".join(KINDS)
                parts.append("".join(generator.choices(everything, k=generator.randint(1, 12))))
            else:
                code = generator.choice([0x3000, 0xD7FF, 0x1FFFF, 0x2FFFF])
                parts.append(chr(generator.randint(1, code) if code < 0xD800 else code))
            parts.append(generator.choice(["", " ", " ", "  "]))
        strings.append("".join(parts))
    return strings


@pytest.fixture(scope="session")
def nasty():
    """Makes strings: `nasty(number, seed=2018)`."""
    return nasty_strings
