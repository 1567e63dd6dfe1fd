"""Reader of language-model text: one sentence a line, tokens between blanks."""

import os
import re
from collections.abc import Iterator

from .files import read_lines

# Blanks only: a no-break space (U+00A0) belongs to its token, as in the corpora's own counts.
_BLANKS = re.compile(r"[ \t]+")


def read_tokens(path: str | os.PathLike) -> Iterator[dict[str, list[str]]]:
    """Streams the sentences of a token file such as WikiText or the One Billion Word benchmark.

    Plain or gzip; encoding: see `files.read_lines`. Blank lines are skipped.

    Args:
        path: str or path of the file.

    Yields:
        dict with `tokens`: list of str, never empty.

    Raises:
        FileNotFoundError: no such file.
    """
    for _, line in read_lines(path):
        line = line.strip(" \t")
        if line:
            yield {"tokens": _BLANKS.split(line)}
