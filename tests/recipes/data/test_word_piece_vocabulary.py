"""A learned vocabulary: it covers its text, whatever the order of the words."""

import random

import pytest

from polysemy.recipes.data.word_piece_vocabulary import SPECIAL, learn_word_pieces
from polysemy.zoo.text.word_piece import WordPiece

WORDS = ["Rome"] * 30 + ["Romans"] * 20 + ["café"] * 15 + ["cat", "cats", "."] * 25 + ["once"]


def test_it_covers_the_text():
    pieces = learn_word_pieces(WORDS, size=40)
    assert pieces[:5] == list(SPECIAL)
    assert len(pieces) == len(set(pieces)) <= 40
    assert "rome" in pieces and "." in pieces
    assert not [piece for piece in pieces[5:] if piece != piece.lower() or "é" in piece]
    tokenizer = WordPiece(pieces)
    unknown = pieces.index("[UNK]")
    ids = tokenizer(sorted(set(WORDS) - {"once"})).flat_values.numpy()
    assert unknown not in ids
    shuffled = random.Random(0).sample(WORDS, len(WORDS))
    assert learn_word_pieces(shuffled, size=40) == pieces


def test_case_and_rare_words():
    cased = learn_word_pieces(WORDS, size=60, lowercase=False)
    assert "Rome" in cased and any("é" in piece for piece in cased)
    with pytest.raises(ValueError, match="must hold words that occur 2 times. Received: 1 words"):
        learn_word_pieces(["once"], size=40)
