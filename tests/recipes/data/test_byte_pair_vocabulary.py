"""Learned merges: those of the algorithm in plain Python, and a BPE that encodes any text."""

import random
from collections import Counter

import pytest

from polysemy.recipes.data.byte_pair_vocabulary import learn_byte_pairs
from polysemy.zoo.text.byte_pair import BytePair
from polysemy.zoo.text.byte_pair_files import vocabulary_of_merges

TEXTS = ["the thin then\n", "12 thirds, don't\n", "  a  thé\n"] * 5 + ["then they\n"] * 3


def counts_of_pairs(words):
    pairs = Counter()
    for word, count in words.items():
        for pair in zip(word, word[1:], strict=False):
            pairs[pair] += count
    return pairs


def joined(word, pair):
    parts, i = [], 0
    while i < len(word):
        both = word[i : i + 2] == pair
        parts.append("".join(pair) if both else word[i])
        i += 2 if both else 1
    return tuple(parts)


def test_each_merge_is_the_most_frequent_pair():
    merges = learn_byte_pairs(TEXTS, 12)
    vocabulary = vocabulary_of_merges([])
    tokenizer = BytePair(vocabulary, [])
    pieces = tokenizer.split(TEXTS).flat_values.numpy()
    symbols = [[vocabulary[i] for i in ids] for ids in tokenizer(pieces).to_list()]
    words = Counter(map(tuple, symbols))
    for merge in merges:
        pair = tuple(merge.split(" "))
        counts = counts_of_pairs(words)
        assert counts[pair] == max(counts.values())
        words = Counter({joined(word, pair): n for word, n in words.items()})


def test_order_of_the_texts_and_other_texts():
    merges = learn_byte_pairs(TEXTS, 12)
    assert learn_byte_pairs(iter(random.Random(0).sample(TEXTS, len(TEXTS))), 12) == merges
    tokenizer = BytePair(vocabulary_of_merges(merges), merges)
    other = "Ünseen \N{GRINNING FACE}\tthen\n"
    ids = tokenizer([other])
    assert tokenizer.decode(ids).numpy()[0].decode() == other
    assert ids.row_lengths().numpy()[0] < len(other.encode())
    assert learn_byte_pairs(TEXTS, 0) == []


def test_too_little_text():
    with pytest.raises(ValueError, match="num_merges=50, where the texts have 3"):
        learn_byte_pairs(["then"], 50)
