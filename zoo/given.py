"""Checks of what a caller gives to a model: first mistakes that Keras answers with its insides."""

import reprlib

import keras
import numpy as np


def holds_text(value):
    """Whether a value is a text, or a list, an array or a tensor of texts.

    Example:
    >>> holds_text([["a", "cat"]]), holds_text(np.array(["a"])), holds_text({"a": [1]})
    (True, True, False)
    """
    while isinstance(value, (list, tuple)) and value:
        value = value[0]
    if isinstance(value, (str, bytes)):
        return True
    dtype = getattr(value, "dtype", None)
    kind = getattr(dtype, "kind", "")  # numpy's and pandas' dtypes have one
    if kind == "O":
        return holds_text(np.asarray(value).ravel()[:1].tolist())
    return kind in ("S", "U") or getattr(dtype, "name", dtype) == "string"


def check_no_text(name, value):
    """Refuses texts where a model reads what its preprocessor makes of them.

    Raises:
        ValueError: the value is text.
    """
    if holds_text(value):
        raise ValueError(
            f"`{name}` must be what the model's `preprocessor` makes of texts. "
            f"Received: {name}={short(value)}"
        )


def check_targets(y):
    """Refuses targets that Keras takes for no data, or for many: lists of numbers, and texts.

    Raises:
        ValueError: there is one that is no array and no tensor, or that holds texts.
    """
    for part in keras.tree.flatten(y):
        plain = isinstance(part, (bool, int, float, str, bytes))
        if plain or holds_text(part):
            raise ValueError(
                f"`y` must be an array or a tensor of numbers, such as ids. Received: y={short(y)}"
            )


def distinct_names(name, value):
    """A list of names that are there once each.

    Raises:
        ValueError: there is none, one is there twice, or it is no list of str.
    """
    names = value if isinstance(value, str) else list(value)
    wrong = isinstance(names, str) or not all(isinstance(x, str) for x in names)
    if wrong or not 0 < len(names) == len(set(names)):
        raise ValueError(
            f"`{name}` must be distinct names, at least one. Received: {name}={names!r}"
        )
    return names


def check_backbone(backbone):
    """Refuses what heads cannot be put upon.

    Raises:
        ValueError: it is no model, such as a preset's name.
    """
    if not isinstance(backbone, keras.Model):
        raise ValueError(
            "`backbone` must be a model, such as `Backbone.from_preset` loads. "
            f"Received: backbone={backbone!r}"
        )


def short(value):
    """A value on one line, for messages."""
    return " ".join(reprlib.repr(value).split())
