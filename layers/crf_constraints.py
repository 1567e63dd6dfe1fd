"""Which tag may follow which."""

from collections.abc import Sequence

import numpy as np

SCHEME_LETTERS = {"IO": "I", "IOB1": "BI", "BIO": "BI", "BIOES": "BIES", "BIOUL": "BIUL"}
SCHEME_ALIASES = {"IOB2": "BIO", "IOB": "IOB1", "IOBES": "BIOES", "BILOU": "BIOUL"}


def crf_constraints(tags: Sequence[str], scheme: str | None) -> np.ndarray | None:
    """Lists the tag transitions that a scheme of span tags allows, for `CRF(constraints=…)`.

    Args:
        tags: sequence of str. The tag of each id, `O` or `letter-type`.
        scheme: str. "BIO" (IOB2), "BIOES" (IOBES), "BIOUL" (BILOU), "IOB1" (IOB) or "IO", in any
            case; None: no constraints.

    Returns:
        (T + 2, T + 2) bool, True where row may be followed by column; row T is the start of the
        sentence, column T + 1 its end. None for scheme None.

    Raises:
        ValueError: unknown scheme, or a tag that is not of the scheme or occurs twice.

    Example:
    >>> allowed = crf_constraints(["O", "B-PER", "I-PER"], "BIO")
    >>> allowed[0].tolist()  # after O: no I-PER
    [True, True, False, False, True]
    """
    if scheme is None:
        return None
    name = str(scheme).upper()
    name = SCHEME_ALIASES.get(name, name)
    if name not in SCHEME_LETTERS:
        raise ValueError(
            f"`scheme` must be None or one of {', '.join(SCHEME_LETTERS)} "
            f"(or {', '.join(SCHEME_ALIASES)}). Received: scheme={scheme!r}"
        )
    if len(set(tags)) != len(tags):
        raise ValueError(f"`tags` must be different from each other. Received: tags={list(tags)}")
    # The edges of the sentence behave like the tag O.
    parts = [_split(tag, name) for tag in tags] + [("O", "")] * 2
    allowed = np.array([[_may_follow(one, other, name) for other in parts] for one in parts])
    allowed[:, -2] = False  # nothing precedes the start
    allowed[-1, :] = False  # nothing follows the end
    return allowed


def _split(tag: str, scheme: str) -> tuple[str, str]:
    letter, _, kind = tag.partition("-")
    if tag == "O":
        return "O", ""
    if len(letter) != 1 or letter not in SCHEME_LETTERS[scheme] or not kind:
        raise ValueError(
            f"`tags` of scheme {scheme} must be O or one of {', '.join(SCHEME_LETTERS[scheme])} "
            f"followed by -type. Received: {tag!r}"
        )
    # BIOUL is BIOES by other letters.
    return {"U": "S", "L": "E"}.get(letter, letter), kind


def _may_follow(before: tuple[str, str], after: tuple[str, str], scheme: str) -> bool:
    same = before[1] == after[1] != ""
    if scheme == "IO":
        return True
    if scheme == "IOB1":
        return after[0] != "B" or same
    if scheme == "BIO":
        return after[0] != "I" or same
    if before[0] in "BI":  # an open span goes on in its own type
        return after[0] in "IE" and same
    return after[0] not in "IE"
