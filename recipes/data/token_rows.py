"""A stream of token ids cut into rows, for causal language models."""

from collections.abc import Iterator

import numpy as np


def token_rows(
    ids: np.ndarray, length: int, batch_size: int, seed: int | None = None
) -> Iterator[dict[str, np.ndarray]]:
    """One pass over a text as batches of full rows; each row predicts every next token.

    Rows are cut from a start that the seed draws, so that passes cut in other places, and shuffled.
    What does not fill a row, and the rows that do not fill a batch, are left out: at most one row
    at each end and a batch.

    Shapes: B batch_size, L length, N tokens.

    Args:
        ids: (N,) int. The whole text.
        length: int. L.
        batch_size: int. B.
        seed: int. None cuts from the start and keeps the order.

    Yields:
        dict of `token_ids` (B, L) int32 and `targets` (B, L) int32, the token that follows each.

    Raises:
        ValueError: the text is too short for a batch.

    Example:
    >>> (batch,) = token_rows(np.arange(5), length=2, batch_size=2)
    >>> batch["token_ids"].tolist(), batch["targets"].tolist()
    ([[0, 1], [2, 3]], [[1, 2], [3, 4]])
    """
    rows = (len(ids) - 1) // length
    if rows < batch_size:
        raise ValueError(
            "`ids` must fill a batch of `batch_size` rows of `length` + 1 tokens. Received: "
            f"{len(ids)} tokens, batch_size={batch_size}, length={length}"
        )
    rng = None if seed is None else np.random.default_rng(seed)
    start = 0
    if rng is not None:  # anywhere in the first row, as long as a batch is left
        start = int(rng.integers(min(length, len(ids) - batch_size * length)))
        rows = (len(ids) - 1 - start) // length
    order = np.arange(rows) if rng is None else rng.permutation(rows)
    for first in range(0, rows - batch_size + 1, batch_size):
        begins = start + order[first : first + batch_size] * length
        positions = begins[:, None] + np.arange(length + 1)
        block = ids[positions].astype("int32")
        yield {"token_ids": block[:, :-1], "targets": block[:, 1:]}


def strided_rows(
    ids: np.ndarray, length: int, stride: int, batch_size: int
) -> Iterator[dict[str, np.ndarray]]:
    """A text in overlapping rows that predict each of its tokens but the first exactly once.

    From the second row on only the last `stride` positions count, so each token is predicted from
    at least `length - stride` tokens of context, as far as the text has them.

    Args:
        ids: (N,) int. The whole text, at least two tokens.
        length: int. L.
        stride: int. From one row's start to the next; `length` makes the rows disjoint.
        batch_size: int. Rows; the last batch may have fewer.

    Yields:
        dict of `token_ids` (B, L) int32, `targets` (B, L) int32 and `weights` (B, L) bool, True
        where the target counts. The last row is filled up with zeros.

    Example:
    >>> (batch,) = strided_rows(np.arange(6), length=4, stride=2, batch_size=2)
    >>> batch["token_ids"].tolist(), batch["weights"].astype(int).tolist()
    ([[0, 1, 2, 3], [2, 3, 4, 0]], [[1, 1, 1, 1], [0, 0, 1, 0]])
    """
    if not 1 <= stride <= length:
        raise ValueError(
            f"`stride` must be from 1 to `length`. Received: stride={stride}, length={length}"
        )
    if len(ids) < 2:
        raise ValueError(f"`ids` must hold at least two tokens. Received: {len(ids)}")
    count = len(ids) - 1  # targets
    begins = range(0, max(count - length, 0) + stride, stride) if count > length else range(1)
    rows = []
    for begin in begins:
        done = 0 if begin == 0 else begin + length - stride
        if done >= count:
            break
        end = min(begin + length, count)
        row = np.zeros((3, length), "int32")
        row[0, : end - begin] = ids[begin:end]
        row[1, : end - begin] = ids[begin + 1 : end + 1]
        row[2, done - begin : end - begin] = 1
        rows.append(row)
        if len(rows) == batch_size:
            yield _batch(rows)
            rows = []
    if rows:
        yield _batch(rows)


def _batch(rows: list[np.ndarray]) -> dict[str, np.ndarray]:
    block = np.stack(rows, axis=1)  # (3, B, L)
    return {"token_ids": block[0], "targets": block[1], "weights": block[2] > 0}
