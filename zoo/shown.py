"""Values in messages."""


def shown(value):
    """A value as Python writes it, cut where it is long.

    Example:
    >>> shown([1, 2]), len(shown("x" * 1000))
    ('[1, 2]', 80)
    """
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
