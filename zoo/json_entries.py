"""Entries of the JSON files that come with published checkpoints, checked for what they are."""

from .shown import shown

_NAMES = {dict: "an object", list: "a list"}


def json_entry(content, name, path, kind: type = dict):
    """An entry of an object out of a file; an empty one where it is missing or null.

    Args:
        content: dict. name: str. Its key.
        path: Path of the file, for the message.
        kind: dict or list.

    Raises:
        ValueError: the entry is of another kind.

    Example:
    >>> json_entry({"model": None}, "model", None), json_entry({}, "merges", None, list)
    ({}, [])
    """
    found = content.get(name)
    if found is None:
        return kind()
    if not isinstance(found, kind):
        raise ValueError(
            f"`{name}` in {path.name} must be {_NAMES[kind]}. Received: {shown(found)} in "
            f"{str(path)!r}"
        )
    return found


def tokens_in_order(ids, path):
    """The tokens of an object from tokens to ids: list of str in the order of ids.

    Raises:
        ValueError: the ids are no whole numbers, or have gaps.

    Example:
    >>> tokens_in_order({"b": 1, "a": 0}, None)
    ['a', 'b']
    """
    whole = all(type(number) is int for number in ids.values())
    if not whole or sorted(ids.values()) != list(range(len(ids))):
        raise ValueError(
            f"{path.name} must map tokens to the ids 0 to {len(ids) - 1}, each once. "
            f"Received: {str(path)!r}"
        )
    return sorted(ids, key=lambda token: ids[token])


def number_problem(name, value, rule):
    """What is wrong with a number of a configuration, or None.

    Args:
        rule: "whole" for 1, 2 …; "rate" for [0, 1); "positive" for more than 0.

    Example:
    >>> number_problem("n_layer", 0, "whole"), number_problem("attn_pdrop", 0.1, "rate")
    ('n_layer must be a positive integer, not 0', None)
    """
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if rule == "whole" and not (number and isinstance(value, int) and value >= 1):
        return f"{name} must be a positive integer, not {shown(value)}"
    if rule == "rate" and not (number and 0 <= value < 1):
        return f"{name} must be in [0, 1), not {shown(value)}"
    if rule == "positive" and not (number and value > 0):
        return f"{name} must be a number above 0, not {shown(value)}"
    return None
