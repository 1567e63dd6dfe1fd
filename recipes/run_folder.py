"""RunFolder: the files of one run, and what may be done in its folder."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .callbacks import Backup
from .config import Experiment, to_dict, write_config
from .data.identity import digests
from .replacing import replacing
from .run_presets import resolve
from .state import TrainingState
from .strategy import describe_hardware

# What may differ when a run is continued: where it runs and what it is called, not what it
# computes.
MOVABLE = (
    "data.root",
    "data.name",
    "trainer.strategy",
    "trainer.jit_compile",
    "paper",
    "expected",
    "choose_best",
    "description",
)


# What a training leaves behind. Without any of it a folder is free for another configuration: the
# one that is there may have been refused.
RESULTS = ("metrics.csv", "checkpoint/state.npz", "best.weights.h5", "result.json")


class RunFolder:
    """The folder of one variant with one seed.

    Beside what the trainer writes it has `config.json`, the resolved configuration; `data.json`,
    digests of the files below `data.root` that it was trained on; and `result.json`, what the steps
    have given.

    Args:
        path: `OUT/<experiment>/<variant>/seed<k>`.
        writes: bool. Whether this process writes; of several workers one does.
    """

    def __init__(self, path: str | Path, writes: bool = True):
        self.path = Path(path)
        self.writes = writes

    @property
    def out(self) -> Path:
        """The folder of all runs."""
        return self.path.parent.parent.parent

    def claim(self, run: Experiment) -> None:
        """Writes the configuration, and what tells the data from others. A folder with results goes
        on with its own, and takes over what may differ, such as where the data lie.

        Raises:
            ValueError: the folder has the results of another configuration or of other data.
        """
        data = digests(run.data.root, run.task.data_files())
        path, data_path = self.path / "config.json", self.path / "data.json"
        if path.exists() and any((self.path / name).exists() for name in RESULTS):
            self._check_config(run)
            known = _read(data_path)
            differing = [name for name, digest in data.items() if known.get(name, digest) != digest]
            if differing:
                raise ValueError(
                    "`data.root` must hold the data that the run was trained on; choose another "
                    f"`out` for others. Received: data.root={run.data.root!r}, which differs from "
                    f"the data of {self.path} in {', '.join(differing)}."
                )
            if known and not data:
                return  # they have not moved to where nothing is
            data = {**data, **known} if known else {}  # of older runs nothing is known
        if self.writes:
            self.path.mkdir(parents=True, exist_ok=True)
            for left in (*self.path.glob("*.partial"), *self.path.glob("checkpoint/*.partial")):
                left.unlink(missing_ok=True)  # by a kill, see `replacing`
            if _read(path) != _plain(run):
                write_config(run, path)
            if data != _read(data_path):
                _write(data, data_path)

    def read_result(self) -> dict[str, Any]:
        """Returns what `result.json` holds: of a training that has ended, its `steps` and the like;
        of the best weights, `scores`, `details`, `export`.
        """
        result = _read(self.path / "result.json")
        if "steps" not in result and self._state().finished:
            # Killed before it was written; what is there may be of weights before.
            return training_result(self._state())
        return result

    def write_result(self, result: Mapping[str, Any]) -> None:
        """Replaces `result.json`."""
        if self.writes:
            _write(result, self.path / "result.json")

    def done(self) -> dict[str, bool]:
        """Returns which of the steps the run has behind it: none before the training's end."""
        result = _read(self.path / "result.json")
        trained = "steps" in result
        exported = "export" in result and Path(result["export"]).exists()
        return {
            "train": trained or self._state().finished,
            "evaluate": trained and "scores" in result,
            "export": trained and exported,
        }

    def progress(self, run: Experiment) -> str:
        """Says how far the training is, such as "step 20 of 30, epoch 2"."""
        state, limits = self._state(), run.trainer
        pairs = (("step", state.step, limits.steps), ("epoch", state.epoch, limits.epochs))
        return ", ".join(
            f"{name} {value}" + (f" of {limit}" if limit is not None else "")
            for name, value, limit in pairs
        )

    def _state(self) -> TrainingState:
        """Where the training is, as of its checkpoint."""
        return Backup(self.path / "checkpoint").read_state() or TrainingState()

    def _check_config(self, run: Experiment) -> None:
        old = _flatten(_read(self.path / "config.json"), self.out)
        new = _flatten(_plain(run), self.out)
        differing = [
            f"  {key}: {old.get(key)!r} there, {new.get(key)!r} now"
            for key in sorted(old.keys() | new.keys())
            if old.get(key) != new.get(key) and key not in MOVABLE
        ]
        if differing:
            raise ValueError(
                "A run folder must be continued with its own configuration; choose another `out`, "
                f"or remove it. Received: {self.path}, with\n" + "\n".join(differing)
            )


def training_result(state: TrainingState) -> dict[str, Any]:
    """Returns what `result.json` says of a training that has ended, here."""
    return {
        "steps": state.step,
        "epochs": state.epoch,
        "best_epoch": state.best_epoch,
        "minutes": state.seconds / 60,
        "tokens": state.tokens,
        "hardware": describe_hardware(),
    }


def _plain(run: Experiment) -> dict[str, Any]:
    """A configuration as it comes back from JSON."""
    return json.loads(json.dumps(to_dict(run)))


def _read(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def _write(values: Mapping[str, Any], path: Path) -> None:
    with replacing(path) as file:
        file.write(json.dumps(values, indent=2) + "\n")


def _flatten(tree: Any, out: Path, prefix: str = "") -> dict[str, Any]:
    """Returns the leaves of a JSON tree by dotted names, other runs' presets where they lie."""
    if not isinstance(tree, dict):
        return {prefix[:-1]: resolve(tree, out) if isinstance(tree, str) else tree}
    leaves: dict[str, Any] = {}
    for key, value in tree.items():
        leaves |= _flatten(value, out, f"{prefix}{key}.")
    return leaves
