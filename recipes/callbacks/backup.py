"""Backup: one file that holds all of a training, replaced as a whole."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import keras
import numpy as np

from ..replacing import replacing
from ..state import TrainingState

FILE = "state.npz"


class Backup:
    """Saves and restores a training, so that a killed run goes on as if nothing had happened.

    Unlike `keras.callbacks.BackupAndRestore` it keeps every variable of the model (seed generators
    and the states of stateful layers too) beside the optimizer's, and the position in the data. The
    file is written beside and renamed, so that a kill during the writing leaves the last good one.

    Args:
        directory: folder of the checkpoint.
        writes: bool. Whether this process writes; under `multi_worker` only the chief does, and all
            must see the folder.

    Example:
    >>> import keras, tempfile
    >>> from polysemy.recipes.callbacks import Backup
    >>> from polysemy.recipes.state import TrainingState
    >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    >>> model.compile("sgd", "mse")
    >>> backup = Backup(tempfile.mkdtemp())
    >>> backup.restore(model) is None
    True
    >>> backup.save(model, TrainingState(step=7))
    >>> backup.restore(model).step
    7
    """

    def __init__(self, directory: str | Path, writes: bool = True):
        self.path = Path(directory) / FILE
        self.writes = writes

    def save(self, model: keras.Model, state: TrainingState) -> None:
        """Writes the variables and the state, replacing what was there."""
        arrays, names = {}, []
        for index, variable in enumerate(_variables(model)):
            # numpy's own format knows no bfloat16; float32 holds each of its values.
            value = variable.numpy()
            arrays[f"variable_{index}"] = (
                value.astype("float32") if value.dtype.kind not in "biufc" else value
            )
            names.append(variable.path)
        if not self.writes:
            return
        arrays["state"] = np.array(json.dumps({**dataclasses.asdict(state), "variables": names}))
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(self.path, "wb") as file:
            np.savez(file, **arrays)

    def read_state(self) -> TrainingState | None:
        """Returns the saved state alone, or None where nothing is saved."""
        if not self.path.exists():
            return None
        with np.load(self.path) as file:
            values = json.loads(str(file["state"]))
        return TrainingState(**{k: v for k, v in values.items() if k != "variables"})

    def restore(self, model: keras.Model) -> TrainingState | None:
        """Sets the variables to the saved ones and returns the state, or None where nothing is
        saved.

        Raises:
            ValueError: the checkpoint is of another model or optimizer; each variable that differs
                is named.
        """
        state = self.read_state()
        if state is None:
            return None
        variables = _variables(model)
        with np.load(self.path) as file:
            names = json.loads(str(file["state"]))["variables"]
            values = [file[f"variable_{index}"] for index in range(len(names))]
        here = [(variable.path, tuple(variable.shape)) for variable in variables]
        there = [(name, value.shape) for name, value in zip(names, values, strict=True)]
        if here != there:
            lines = [f"  only in the model: {entry}" for entry in here if entry not in there]
            lines += [f"  only in the checkpoint: {entry}" for entry in there if entry not in here]
            raise ValueError(
                f"The checkpoint must be of this model and optimizer. Received: {self.path}, with\n"
                + "\n".join(lines or ["  the same variables in another order"])
            )
        for variable, value in zip(variables, values, strict=True):
            variable.assign(value)
        return state


def _variables(model: keras.Model) -> list[Any]:
    """Returns the variables of the model, states and seeds included, and of its optimizer."""
    optimizer = model.optimizer
    if not optimizer.built:
        optimizer.build(model.trainable_variables)
    return [*model.variables, *optimizer.variables]
