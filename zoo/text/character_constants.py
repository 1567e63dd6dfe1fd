"""Character ids of the published biLMs.

The published programs count bytes from 0 and shift every id by one at inference, so that 0 is
padding. Here ids are the shifted ones throughout.
"""

BEGIN_SENTENCE, END_SENTENCE, BEGIN_WORD, END_WORD, PAD_CHARACTER = 257, 258, 259, 260, 261
NUM_CHARACTERS = 262


def boundary_row(boundary, max_characters=50):
    """The character row of a sentence boundary, as a list of int.

    Example:
    >>> boundary_row(BEGIN_SENTENCE, max_characters=5)
    [259, 257, 260, 261, 261]
    """
    row = [BEGIN_WORD, boundary, END_WORD]
    return row + [PAD_CHARACTER] * (max_characters - len(row))
