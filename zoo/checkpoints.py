"""Loads tensors by name into a model, and refuses whatever does not fit exactly."""

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

import keras
import numpy as np

from .stored_tensor import StoredTensor


class Weight(NamedTuple):
    """One row of a checkpoint table: their tensor's name, our variable's path, what lies between.

    `source` may be a tuple of names if one variable is made of several tensors; `transform` then
    gets them as separate arguments.
    """

    source: str | tuple[str, ...]
    target: str
    transform: Callable[..., np.ndarray] | None = None


def check_num_layers(num_layers: int, tensors: Mapping[str, object], origin: str) -> None:
    """Refuses a configuration of more layers than a checkpoint has tensors, before they are built.

    Raises:
        ValueError: see above.

    Example:
    >>> check_num_layers(2, {"layer.0.kernel": None, "layer.1.kernel": None}, "a checkpoint")
    """
    if num_layers > len(tensors):
        raise ValueError(
            "The configuration must be that of the checkpoint. Received: "
            f"{num_layers} layers, {len(tensors)} tensors in {origin}"
        )


def assign_weights(
    variables: Iterable[keras.Variable],
    tensors: Mapping[str, np.ndarray | StoredTensor],
    table: Iterable[Weight],
    origin: str,
    ignore: Callable[[str], bool] = lambda name: False,
) -> None:
    """Assigns `tensors` to `variables` as `table` says.

    Args:
        variables: every variable that must be set.
        tensors: name to array or `StoredTensor`, which is read only to be assigned.
        table: `Weight` rows. A target is a variable's path.
        origin: str. Where the tensors came from, for the error.
        ignore: says of a tensor's name whether it may stay unread (optimizer slots, counters).

    Raises:
        ValueError: a tensor is missing, unread or misshapen, or a variable is left unset. All cases
            are listed in one message and nothing is assigned.
    """
    by_path = {variable.path: variable for variable in variables}
    fitting, read, problems = [], set(), []
    for row in table:
        names = (row.source,) if isinstance(row.source, str) else row.source
        read.update(names)
        missing = [name for name in names if name not in tensors]
        if missing:
            problems += [f"missing tensor {name!r} (for {row.target!r})" for name in missing]
            continue
        stand_ins = [np.broadcast_to(np.float32(0), np.shape(tensors[name])) for name in names]
        shapes = ", ".join(str(array.shape) for array in stand_ins)
        if row.target not in by_path:
            problems.append(f"no variable {row.target!r} (for tensor {row.source!r})")
            continue
        expected = tuple(by_path[row.target].shape)
        try:
            shape = np.shape(_value(row, stand_ins))
        except (ValueError, IndexError) as error:
            problems.append(f"tensor {row.source!r} of shape {shapes} does not fit: {error}")
            continue
        if shape != expected:
            problems.append(
                f"tensor {row.source!r} of shape {shapes} does not fit {row.target!r} {expected}"
            )
            continue
        fitting.append((row, names))
    problems += [
        f"superfluous tensor {name!r} {np.shape(tensors[name])}"
        for name in tensors
        if name not in read and not ignore(name)
    ]
    targets = {row.target for row in table}
    problems += [f"variable {path!r} is left unset" for path in by_path if path not in targets]
    if problems:
        raise ValueError(
            f"The checkpoint must match the model tensor for tensor. Received: {origin} with "
            f"{len(problems)} mismatch(es):\n  " + "\n  ".join(problems)
        )
    for row, names in fitting:
        by_path[row.target].assign(_value(row, [np.asarray(tensors[name]) for name in names]))


def _value(row, arrays):
    return arrays[0] if row.transform is None else row.transform(*arrays)
