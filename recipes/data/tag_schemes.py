"""Span tags: IO, IOB1, BIO, BIOES and BIOUL, between each other and spans.

| scheme | first of a span | inside | last | alone |
|---|---|---|---|---|
| IO     | I | I | I | I | adjacent spans of one type cannot be told apart
| IOB1   | I, or B right after a span of its type | I | I | I or B | CoNLL-2003 as published
| BIO    | B | I | I | B | also called IOB2
| BIOES  | B | I | E | S |
| BIOUL  | B | I | L | U | BIOES by other letters, also called BILOU

A tag is `O` or `letter-type`; the type may itself hold hyphens (`B-creative-work`).
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from ...layers.crf_constraints import SCHEME_ALIASES, SCHEME_LETTERS

SCHEMES = tuple(SCHEME_LETTERS)
_TO_BIOES = str.maketrans("UL", "SE")


class Span(NamedTuple):
    """A typed run of tokens, `tokens[start:end]`."""

    start: int
    end: int
    type: str


def canonical_scheme(scheme: str) -> str:
    """Returns the name in `SCHEMES` for a scheme or one of its other names, in any case.

    >>> canonical_scheme("iob2")
    'BIO'
    """
    name = str(scheme).upper()
    name = SCHEME_ALIASES.get(name, name)
    if name not in SCHEMES:
        raise ValueError(
            f"`scheme` must be one of {', '.join(SCHEMES)} (or {', '.join(SCHEME_ALIASES)}). "
            f"Received: scheme={scheme!r}"
        )
    return name


def split_tag(tag: str, scheme: str) -> tuple[str, str]:
    """Splits a tag into letter and type; ("O", "") for `O`.

    >>> split_tag("B-creative-work", "BIO")
    ('B', 'creative-work')
    """
    if tag == "O":
        return "O", ""
    letter, hyphen, kind = tag.partition("-")
    letters = SCHEME_LETTERS[canonical_scheme(scheme)]
    if not hyphen or not kind or len(letter) != 1 or letter not in letters:
        raise ValueError(
            f"A tag of scheme {scheme} must be O or one of {', '.join(letters)} followed by "
            f"-type. Received: {tag!r}"
        )
    return letter, kind


def tag_vocabulary(types: Iterable[str], scheme: str) -> tuple[str, ...]:
    """Lists the tags of a scheme for the given types, `O` first, then type by type.

    >>> tag_vocabulary(["LOC", "PER"], "BIO")
    ('O', 'B-LOC', 'I-LOC', 'B-PER', 'I-PER')
    """
    letters = SCHEME_LETTERS[canonical_scheme(scheme)]
    return ("O", *(f"{letter}-{kind}" for kind in types for letter in letters))


def tags_to_spans(tags: Sequence[str], scheme: str, strict: bool = True) -> list[Span]:
    """Reads the spans out of a sentence's tags.

    Args:
        tags: sequence of str.
        scheme: str. One of `SCHEMES`.
        strict: bool. True: a sequence that the scheme does not allow is an error. False: read as
            conlleval reads it, where a tag that continues nothing opens a span and a span that
            is not closed ends where it is cut off.

    Returns:
        list of `Span`, in order.

    Raises:
        ValueError: an unknown tag, or (strict) a tag in a place that the scheme forbids.

    Example:
    >>> tags_to_spans(["B-PER", "I-PER", "O", "B-LOC"], "BIO")
    [Span(start=0, end=2, type='PER'), Span(start=3, end=4, type='LOC')]
    """
    scheme = canonical_scheme(scheme)
    spans: list[Span] = []
    start, kind, open_letter = 0, "", "O"  # the span that is open before this token
    for position, tag in enumerate([*tags, "O"]):
        try:
            letter, new_kind = split_tag(tag, scheme)
        except ValueError as error:
            raise ValueError(f"{error} at position {position} of {list(tags)}") from error
        letter = letter.translate(_TO_BIOES)
        continues = open_letter in "BI" and new_kind == kind and letter in "IE"
        if strict:
            _check_step(tags, position, scheme, open_letter, kind, letter, new_kind)
        if open_letter != "O" and not continues:
            spans.append(Span(start, position, kind))
        if not continues:
            start = position
        kind, open_letter = new_kind, letter
    return spans


def _check_step(tags, position, scheme, previous, previous_kind, letter, kind) -> None:
    """Raises ValueError where (previous, letter), in BIOES letters, breaks the scheme."""
    same = previous != "O" and previous_kind == kind
    if scheme == "IOB1":
        broken = letter == "B" and not same
        rule = "B- only directly after a span of the same type"
    elif scheme == "BIO":
        broken = letter == "I" and not same
        rule = "I- only after B- or I- of the same type"
    elif scheme in ("BIOES", "BIOUL"):
        is_open = previous in "BI"
        broken = is_open != (letter in "IE") or (is_open and not same)
        rule = "every B- continued by I- and closed by " + ("E-" if scheme == "BIOES" else "L-")
    else:
        return
    if broken:
        what = repr(tags[position]) if position < len(tags) else "the end of the sentence"
        before = repr(tags[position - 1]) if position else "the start of the sentence"
        raise ValueError(
            f"Tags of scheme {scheme} must have {rule}. Received: {what} at position {position} "
            f"after {before} in {list(tags)}"
        )


def validate(tags: Sequence[str], scheme: str) -> None:
    """Raises ValueError, naming tag and position, unless the scheme allows these tags."""
    tags_to_spans(tags, scheme, strict=True)


def spans_to_tags(spans: Iterable[tuple[int, int, str]], length: int, scheme: str) -> list[str]:
    """Writes spans as tags.

    Args:
        spans: `Span`s or (start, end, type) tuples, in any order, not overlapping.
        length: int. Tokens in the sentence.
        scheme: str. One of `SCHEMES`. In IO two adjacent spans of one type become one.

    Returns:
        list of str, `length` long.

    Raises:
        ValueError: a span is empty, outside the sentence, or overlaps another.

    Example:
    >>> spans_to_tags([(0, 2, "PER"), (3, 4, "LOC")], 4, "BIOES")
    ['B-PER', 'E-PER', 'O', 'S-LOC']
    """
    scheme = canonical_scheme(scheme)
    last, alone = {"BIOES": "ES", "BIOUL": "LU"}.get(scheme, "IB")
    tags = ["O"] * length
    previous = Span(0, 0, "")
    for start, end, kind in sorted(spans):
        if not 0 <= start < end <= length or start < previous.end:
            raise ValueError(
                f"`spans` must lie inside the {length} tokens, hold at least one token and not "
                f"overlap. Received: ({start}, {end}, {kind!r}) after {tuple(previous)}"
            )
        if scheme in ("IO", "IOB1"):
            touches = start == previous.end and kind == previous.type
            first = alone = "B" if scheme == "IOB1" and touches else "I"
        else:
            first = "B"
        if end - start == 1:
            letters = [alone]
        else:
            letters = [first, *"I" * (end - start - 2), last]
        tags[start:end] = [f"{letter}-{kind}" for letter in letters]
        previous = Span(start, end, kind)
    return tags


def convert(tags: Sequence[str], source: str, target: str, strict: bool = True) -> list[str]:
    """Rewrites a sentence's tags from one scheme to another; `strict` as in `tags_to_spans`.

    >>> convert(["I-LOC", "I-LOC", "O", "I-PER"], "IOB1", "BIOES")
    ['B-LOC', 'E-LOC', 'O', 'S-PER']
    """
    return spans_to_tags(tags_to_spans(tags, source, strict), len(tags), target)
