"""What becomes of each character before words are cut into pieces: BERT's "basic tokenization".

The rules are in `word_piece_characters.txt`. Here they become tables that a graph looks up: one row
for each block of 256 code points, equal rows once.
"""

import functools
from pathlib import Path
from typing import NamedTuple

import numpy as np

LETTER, DROP, SPACE, ALONE = range(4)  # ALONE: a word of its own
_KINDS = {"drop": DROP, "space": SPACE, "punctuation": ALONE, "ideograph": ALONE}
_CODE_POINTS, _BLOCK = 0x110000, 256
_FIRST_SYLLABLE, _SYLLABLES = 0xAC00, 11172


class CharacterTable(NamedTuple):
    """Looked up as `kinds[blocks[c // 256], c % 256]`.

    Attributes:
        blocks: (4352,) int32. The row of each block of 256 code points.
        kinds: (rows, 256) int32. LETTER, DROP, SPACE or ALONE.
        letters: (rows, 256, 3) int32. What to add to the code point for the first character that
            stands for it; the second and the third, 0 if there is none.
    """

    blocks: np.ndarray
    kinds: np.ndarray
    letters: np.ndarray


@functools.cache
def character_table(lowercase: bool) -> CharacterTable:
    """The table of the uncased model, which strips accents, too, or of the cased one.

    Example:
    >>> table = character_table(lowercase=True)
    >>> row = table.blocks[ord("É") // 256]
    >>> chr(ord("É") + table.letters[row, ord("É") % 256, 0])
    'e'
    """
    kinds = np.zeros(_CODE_POINTS, "int32")
    letters = np.zeros((_CODE_POINTS, 3), "int32")
    if lowercase:
        syllables = np.arange(_SYLLABLES)
        codes = _FIRST_SYLLABLE + syllables
        # The Unicode Standard, section 3.12: a syllable's two or three letters.
        letters[codes, 0] = 0x1100 + syllables // 588 - codes
        letters[codes, 1] = 0x1161 + syllables % 588 // 28
        letters[codes, 2] = np.where(syllables % 28, 0x11A7 + syllables % 28, 0)
    path = Path(__file__).with_suffix(".txt")
    for line in path.read_text(encoding="ascii").splitlines():
        if line.startswith("#"):
            continue
        first, last, what, *numbers = line.split()
        run = slice(int(first, 16), int(last, 16) + 1)
        values = [int(number, 16) for number in numbers]
        if what in _KINDS:
            kinds[run] = _KINDS[what]
        elif lowercase and not values:
            kinds[run] = DROP
        elif lowercase:
            codes = np.arange(run.start, run.stop)
            letters[run, 0] = values[0] if what == "plus" else values[0] - codes
            letters[run, 1 : len(values)] = values[1:]
    # What becomes punctuation is punctuation, e.g. the Greek varia, which becomes a grave accent.
    becomes = np.arange(_CODE_POINTS) + letters[:, 0]
    kinds = np.where((kinds == LETTER) & (kinds[becomes] == ALONE), ALONE, kinds)
    both = np.concatenate([kinds[:, None], letters], axis=1).reshape(-1, _BLOCK * 4)
    rows, blocks = np.unique(both, axis=0, return_inverse=True)
    rows = rows.reshape(-1, _BLOCK, 4)
    return CharacterTable(blocks.reshape(-1).astype("int32"), rows[..., 0], rows[..., 1:])
