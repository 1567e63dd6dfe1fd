"""Windows over a long context, answers as positions in them, and back to the best answers."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np


class Window(NamedTuple):
    """A part of a context that fits into the model beside its question.

    `[CLS] question [SEP] pieces start … end-1 of the context [SEP]`.

    Attributes:
        question: int. Pieces of the question that are kept.
        start, end: int. Pieces of the context, the end exclusive.
    """

    question: int
    start: int
    end: int

    @property
    def offset(self) -> int:
        """Position of the window's first piece of context."""
        return self.question + 2

    @property
    def length(self) -> int:
        """Positions, special pieces included."""
        return self.question + 3 + self.end - self.start


class Answer(NamedTuple):
    """A candidate: pieces `start` to `end`, inclusive, of the context, and its score."""

    start: int
    end: int
    score: float


def windows(
    question_length: int,
    context_length: int,
    max_length: int = 384,
    stride: int = 128,
    max_question_length: int = 64,
) -> list[Window]:
    """Cuts a context into overlapping windows.

    Args:
        question_length, context_length: int. Pieces.
        max_length: int. Positions of a window, special pieces included.
        stride: int. Pieces from one window's start to the next one's.
        max_question_length: int. Pieces of the question that are kept.

    Raises:
        ValueError: no piece of the context would fit, or a stride that leaves gaps.

    Example:
    >>> [tuple(window) for window in windows(2, 9, max_length=10, stride=3)]
    [(2, 0, 5), (2, 3, 8), (2, 6, 9)]

    Reference: [Devlin et al., 2019](https://arxiv.org/abs/1810.04805), the published run_squad.py
    """
    question = min(question_length, max_question_length)
    room = max_length - question - 3
    if stride < 1 or room < stride:
        raise ValueError(
            "`stride` must be at least 1 and at most what a window holds of the context, "
            "`max_length` - question - 3. "
            f"Received: stride={stride}, max_length={max_length}, question={question}"
        )
    found, start = [], 0
    while True:
        end = min(start + room, context_length)
        found.append(Window(question, start, end))
        if end == context_length:
            return found
        start += stride


def answer_pieces(starts: np.ndarray, ends: np.ndarray, first: int, last: int) -> tuple[int, int]:
    """Finds the pieces that an answer covers.

    Args:
        starts, ends: (N,) int. Each piece's first character, and the one after its last.
        first, last: int. The answer's first character, and the one after its last.

    Returns:
        (first piece, last piece), inclusive.

    Raises:
        ValueError: no piece holds a character of the answer.

    Example:
    >>> answer_pieces(np.array([0, 4, 9]), np.array([3, 9, 10]), 4, 10)
    (1, 2)
    """
    inside = np.flatnonzero((ends > first) & (starts < last))
    if not len(inside):
        raise ValueError(
            "An answer must hold a character of the context's pieces. "
            f"Received: characters {first} to {last}"
        )
    return int(inside[0]), int(inside[-1])


def target_positions(window: Window, answer: tuple[int, int] | None) -> tuple[int, int]:
    """Positions of an answer's first and last piece in a window; (0, 0), [CLS], where the window
    cuts it or there is none.

    >>> target_positions(Window(2, 3, 8), (4, 5)), target_positions(Window(2, 3, 8), (7, 8))
    ((5, 6), (0, 0))
    """
    if answer is None or answer[0] < window.start or answer[1] >= window.end:
        return 0, 0
    return (
        answer[0] - window.start + window.offset,
        answer[1] - window.start + window.offset,
    )


def has_most_context(all_windows: Sequence[Window], index: int) -> np.ndarray:
    """Which pieces of a window have there more context than in any other window: (end - start,).

    The smaller of what stands left and right of a piece counts; between equals the longer window,
    then the first.

    >>> has_most_context([Window(1, 0, 4), Window(1, 2, 6)], 0)
    array([ True,  True,  True, False])
    """
    own = all_windows[index]
    pieces = np.arange(own.start, own.end)

    def context(window):
        score = np.minimum(pieces - window.start, window.end - 1 - pieces)
        score = score + 0.01 * (window.end - window.start)
        return np.where((pieces >= window.start) & (pieces < window.end), score, -np.inf)

    scores = np.stack([context(window) for window in all_windows])
    return np.asarray(scores.argmax(0) == index)


def best_answers(
    all_windows: Sequence[Window],
    start_logits: Iterable[np.ndarray],
    end_logits: Iterable[np.ndarray],
    n_best: int = 20,
    max_answer_length: int = 30,
) -> tuple[list[Answer], float]:
    """Collects the best answers over all windows of one question.

    Args:
        all_windows: the question's windows.
        start_logits, end_logits: for each window (L,) float, over its positions.
        n_best: int. Starts and ends of each window that are combined, and answers that come out.
        max_answer_length: int. Pieces.

    Returns:
        (answers, best first; null score: the lowest sum of the logits at [CLS] over the windows).

    Reference: [Devlin et al., 2019](https://arxiv.org/abs/1810.04805), section 4.2 and 4.3
    """
    found: list[Answer] = []
    null = np.inf
    for index, (window, starts, ends) in enumerate(
        zip(all_windows, start_logits, end_logits, strict=True)
    ):
        null = min(null, float(starts[0] + ends[0]))
        span = slice(window.offset, window.offset + window.end - window.start)
        starts, ends = starts[span], ends[span]
        best_starts = np.argsort(-starts, kind="stable")[:n_best]
        best_starts = best_starts[has_most_context(all_windows, index)[best_starts]]
        best_ends = np.argsort(-ends, kind="stable")[:n_best]
        length = best_ends[None, :] - best_starts[:, None] + 1
        for i, j in np.argwhere((length >= 1) & (length <= max_answer_length)):
            first, last = int(best_starts[i]), int(best_ends[j])
            score = float(starts[first] + ends[last])
            found.append(Answer(first + window.start, last + window.start, score))
    found.sort(key=lambda answer: -answer.score)
    return found[:n_best], float(null)
