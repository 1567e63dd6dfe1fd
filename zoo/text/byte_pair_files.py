"""The vocabulary files of byte-level BPE, and the printable characters that stand for bytes."""

import json
from pathlib import Path

from ..huggingface import read_json
from ..json_entries import tokens_in_order

# A bytes's own character where it has a visible one; the others are counted up from U+0100, so that
# no token holds white space or a control character (Radford et al., 2019, `encoder.py`).
_VISIBLE = (*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100))

#: The printable character of each byte, 256 of them. The space's is "Ġ", the line feed's "Ċ".
BYTE_SYMBOLS = tuple(
    chr(byte)
    if byte in _VISIBLE
    else chr(0x100 + sum(other not in _VISIBLE for other in range(byte)))
    for byte in range(256)
)
END_OF_TEXT = "<|endoftext|>"

#: Pairs of file names under which a vocabulary and its merges are published: OpenAI, Hugging Face.
FILE_NAMES = (("encoder.json", "vocab.bpe"), ("vocab.json", "merges.txt"))


def read_byte_pairs(directory):
    """Reads `encoder.json` and `vocab.bpe`, or `vocab.json` and `merges.txt`, from a folder.

    Returns:
        (vocabulary, merges): list of str in the order of ids; list of str, "left right", best
        first.

    Raises:
        FileNotFoundError: neither pair of files is there.
        ValueError: a file is not as it should be; ids have gaps.
    """
    directory = Path(directory)
    for names in FILE_NAMES:
        paths = [directory / name for name in names]
        if all(path.is_file() for path in paths):
            return tokens_in_order(read_json(paths[0]), paths[0]), _read_merges(paths[1])
    expected = " or ".join(f"{a} and {b}" for a, b in FILE_NAMES)
    raise FileNotFoundError(
        f"`directory` must hold {expected}. Received: directory={str(directory)!r}"
    )


def has_byte_pairs(directory):
    """Whether `read_byte_pairs` finds its two files in a folder."""
    directory = Path(directory)
    return any(all((directory / name).is_file() for name in names) for names in FILE_NAMES)


def write_byte_pairs(directory, vocabulary, merges, names=FILE_NAMES[1]):
    """Writes a vocabulary and its merges as the two files that are named."""
    directory = Path(directory)
    ids = {token: i for i, token in enumerate(vocabulary)}
    (directory / names[0]).write_text(json.dumps(ids, ensure_ascii=False), encoding="utf-8")
    lines = ["#version: 0.2", *merges]
    (directory / names[1]).write_bytes(("\n".join(lines) + "\n").encode())


def vocabulary_of_merges(merges, specials=(END_OF_TEXT,)):
    """The vocabulary that belongs to a list of merges: bytes, what each merge makes, specials.

    The order is that of GPT-2's own: visible bytes first.

    Example:
    >>> vocabulary_of_merges(["t h", "Ġ th"])[-3:]
    ['th', 'Ġth', '<|endoftext|>']
    """
    visible = [chr(byte) for byte in _VISIBLE]
    others = [symbol for symbol in BYTE_SYMBOLS if symbol not in visible]
    return [*visible, *others, *("".join(merge.split(" ")) for merge in merges), *specials]


def _read_merges(path):
    # By line feeds alone: some tokens hold characters at which `splitlines` would split.
    lines = path.read_bytes().decode("utf-8").split("\n")
    if lines[0].startswith("#version"):
        lines = lines[1:]
    merges = [line.rstrip("\r") for line in lines if line.strip()]
    for number, merge in enumerate(merges):
        if len(merge.split(" ")) != 2:
            raise ValueError(
                f"{path.name} must hold two tokens a line. Received: {merge!r}, merge {number} of "
                f"{str(path)!r}"
            )
    return merges
