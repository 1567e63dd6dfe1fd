"""Long lists cut into requests, and the answers put together again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from .errors import ServingError


def batches(
    inputs: Mapping[str, np.ndarray], size: int
) -> Iterator[tuple[int, dict[str, np.ndarray]]]:
    """Cuts every input along its first dimension: pairs of a first row and the inputs from there.

    Raises:
        ValueError: if `size` is less than 1, or the inputs have no or unlike numbers of rows.

    Example:
    >>> [(row, part["x"].tolist()) for row, part in batches({"x": np.arange(5)}, 2)]
    [(0, [0, 1]), (2, [2, 3]), (4, [4])]
    """
    if size < 1:
        raise ValueError(f"`batch_size` must be 1 or more. Received: batch_size={size}")
    rows = {name: array.shape[0] if array.ndim else None for name, array in inputs.items()}
    if len(set(rows.values())) != 1 or None in rows.values():
        raise ValueError(
            f"`batch_size` needs inputs with the same number of rows. Received: rows={rows}"
        )
    (total,) = set(rows.values())
    for row in range(0, max(total or 0, 1), size):  # of no rows one request, for the shapes
        yield row, {name: array[row : row + size] for name, array in inputs.items()}


def concatenated(parts: list[dict[str, np.ndarray]], rows: list[int]) -> dict[str, np.ndarray]:
    """Puts the answers to `batches` together, in order.

    Where they differ in further dimensions, as the lengths of sentences do, shorter ones are padded
    at the end: with 0, False or b"", as the exports of this package pad inside a batch.

    Args:
        parts: the outputs of each request.
        rows: how many rows each request had.

    Raises:
        ValueError: if an output has not a row for each row of the inputs.

    Example:
    >>> concatenated([{"y": np.ones((1, 1))}, {"y": np.ones((1, 2))}], [1, 1])["y"].tolist()
    [[1.0, 0.0], [1.0, 1.0]]
    """
    outputs = {}
    for name in parts[0]:
        arrays = [part[name] for part in parts]
        if len({array.ndim for array in arrays}) > 1 or any(
            array.ndim == 0 or len(array) != count
            for array, count in zip(arrays, rows, strict=True)
        ):
            raise ValueError(
                "`batch_size` needs outputs with a row for each row of the inputs. Received: "
                f"output {name!r} of shape {arrays[0].shape} for {rows[0]} rows; leave it out with "
                "`outputs`, or ask for all rows at once"
            )
        inner = tuple(np.max([array.shape[1:] for array in arrays], axis=0).astype(int))
        outputs[name] = np.concatenate([_padded(array, inner) for array in arrays])
    return outputs


def located(error: ServingError, row: int, count: int) -> ServingError:
    """The error of one request among many, saying which rows it had."""
    message = f"rows {row} to {row + count - 1}: {error.message}"
    return ServingError(error.code, message, error.address)


def _padded(array: np.ndarray, inner: tuple[int, ...]) -> np.ndarray:
    if array.shape[1:] == inner:
        return array
    fill = b"" if array.dtype == object else 0
    padded = np.full((len(array), *inner), fill, array.dtype)
    padded[tuple(slice(size) for size in array.shape)] = array
    return padded
