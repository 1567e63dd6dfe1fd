"""A WordPiece vocabulary learned from the training text."""

import unicodedata
from collections import Counter
from collections.abc import Iterable

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")


def learn_word_pieces(
    words: Iterable[str], size: int, lowercase: bool = True, min_count: int = 2
) -> list[str]:
    """Learns word pieces, top down, from the counts of words.

    Every word that is frequent enough starts as a piece, and so do its beginnings and, with "##" in
    front, its other parts; the pieces that stay are those that cut the words best.

    Args:
        words: the words of the training text, split at white space and punctuation already.
        size: int. The most pieces that come out, the special ones included.
        lowercase: bool. The vocabulary is uncased: small letters without accents.
        min_count: int. Words seen less often teach nothing.

    Returns:
        list of str: "[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", then the pieces; the same from
        the same words in any order.

    Raises:
        ValueError: no word is frequent enough.

    Example:
    >>> pieces = learn_word_pieces(["low", "lower", "lowest", "new", "newer"] * 20, size=40)
    >>> pieces[:3], "low" in pieces
    (['[PAD]', '[UNK]', '[CLS]'], True)

    Reference: Schuster and Nakajima, 2012, as in tensorflow-text's
    `wordpiece_tokenizer_learner_lib`.
    """
    # Not above: it imports TensorFlow Text, whose ops only a learner needs.
    from tensorflow_text.tools.wordpiece_vocab import wordpiece_tokenizer_learner_lib as learner

    counts = Counter(words)
    if lowercase:
        plain: Counter[str] = Counter()
        for word, count in counts.items():
            plain[_uncased(word)] += count
        counts = plain
    frequent = sorted((word, n) for word, n in counts.items() if n >= min_count and word)
    if not frequent:
        raise ValueError(
            f"`words` must hold words that occur {min_count} times. Received: {len(counts)} words"
        )
    return learner.learn(
        frequent,
        vocab_size=size,
        reserved_tokens=list(SPECIAL),
        # Letters of rare scripts would fill a small vocabulary: each comes twice, "x" and "##x".
        max_unique_chars=max(100, size // 40),
    )


def _uncased(word: str) -> str:
    """Small letters without accents, as an uncased tokenizer writes them."""
    letters = unicodedata.normalize("NFD", word.lower())
    return "".join(letter for letter in letters if unicodedata.category(letter) != "Mn")
