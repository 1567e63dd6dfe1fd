"""Reader of WikiText as documents of sentences, and its tokens as plain words."""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from .tokens import read_tokens

_ENDS = {".", "?", "!"}
_CLOSING = {'"', "'", ")", "''"}
# WikiText writes a hyphen, comma or point inside of a word or number so.
INNER = {"@-@": "-", "@,@": ",", "@.@": "."}


def heading_level(tokens: Sequence[str]) -> int:
    """The level of a heading, 1 for the title of an article; 0 for any other line.

    >>> heading_level("= Robert Boulter =".split()), heading_level("= = Career = =".split())
    (1, 2)
    >>> heading_level("a = b".split())
    0
    """
    level = 0
    while 2 * level + 1 < len(tokens) and tokens[level] == tokens[-1 - level] == "=":
        level += 1
    return level


def split_sentences(tokens: Sequence[str]) -> list[list[str]]:
    """Cuts a paragraph behind its points, question and exclamation marks, and what closes there.

    >>> split_sentences('He left . " Why ? " No one knew .'.split())
    [['He', 'left', '.'], ['"', 'Why', '?', '"'], ['No', 'one', 'knew', '.']]
    """
    sentences: list[list[str]] = []
    current: list[str] = []
    quotes = 0  # of the sentence: an even number is closed
    for position, token in enumerate(tokens):
        current.append(token)
        quotes += token == '"'
        following = tokens[position + 1] if position + 1 < len(tokens) else None
        closes = following in _CLOSING and (following != '"' or quotes % 2 == 1)
        ended = token in _ENDS or (token in _CLOSING and len(current) > 1 and _ended(current))
        if ended and not closes:
            sentences.append(current)
            current, quotes = [], 0
    if current:
        sentences.append(current)
    return sentences


def _ended(tokens: list[str]) -> bool:
    """Whether only closing marks stand behind the last end of a sentence."""
    for token in reversed(tokens):
        if token not in _CLOSING:
            return token in _ENDS
    return False


def read_documents(path: str | os.PathLike) -> Iterator[dict[str, Any]]:
    """Streams the articles of a WikiText file, plain or gzip.

    Args:
        path: str or path of the file.

    Yields:
        dict of `title`: str, and `sentences`: list of lists of str, without the headings; "@-@" and
        its like are written "-". "<unk>" stays what it is. Articles without text are left out.

    Raises:
        FileNotFoundError: no such file.
    """
    title, sentences = "", []  # sentences: of the article that is being read
    for line in read_tokens(path):
        tokens = line["tokens"]
        level = heading_level(tokens)
        if level == 1:
            if sentences:
                yield {"title": title, "sentences": sentences}
            title, sentences = " ".join(tokens[1:-1]), []
        elif not level:
            # Split first: the point inside of a number ends no sentence.
            for sentence in split_sentences(tokens):
                sentences.append([INNER.get(token, token) for token in sentence])
    if sentences:
        yield {"title": title, "sentences": sentences}


def plain_lines(sentences: Iterable[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    """Turns sentences into lines of plain text, for models that read white space.

    Args:
        sentences: dicts of `tokens`, a sentence or a line of WikiText, and `document`, its number.

    Yields:
        dict of `text`: str, the line with "red @-@ tipped" written "red-tipped"; `words`: int, the
        tokens of the line as the corpus counts them, its end included; `is_first`: bool, whether an
        article or a document begins.

    Example:
    >>> list(plain_lines([{"tokens": ["a", "red", "@-@", "tipped", "wing"], "document": 0}]))
    [{'text': 'a red-tipped wing', 'words': 6, 'is_first': True}]
    """
    document = None
    for sentence in sentences:
        tokens = sentence["tokens"]
        text = " ".join(tokens)
        for written, plain in INNER.items():
            text = text.replace(f" {written} ", plain)
        is_first = heading_level(tokens) == 1 or sentence["document"] != document
        document = sentence["document"]
        yield {"text": text, "words": len(tokens) + 1, "is_first": is_first}
