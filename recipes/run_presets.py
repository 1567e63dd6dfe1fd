"""The presets of other runs that a run starts from, wherever the folder of the runs lies."""

from __future__ import annotations

import dataclasses
import re
import shlex
from collections.abc import Sequence
from pathlib import Path

from .config import DataConfig, Experiment

RUNS = "{runs}"  # stands in a configuration for the folder of the runs, `--out`


def preset_of(experiment: str, variant: str = "default") -> str:
    """What a task names as its encoder or preset to start from another experiment's export.

    Example:
    >>> from polysemy.recipes.run_presets import preset_of
    >>> preset_of("bert_ablations", "layers_4")
    '{runs}/bert_ablations/layers_4/seed1/preset'
    """
    return f"{RUNS}/{experiment}/{variant}/seed1/preset"


def resolve(text: str, out: str | Path) -> str:
    """Returns a text with the folder of the runs put in, where it is one of `preset_of`."""
    return str(Path(out, text.removeprefix(f"{RUNS}/"))) if text.startswith(f"{RUNS}/") else text


def resolve_presets(run: Experiment, out: str | Path) -> Experiment:
    """Returns a run whose task names its presets where they lie below `out`."""
    values = {name: resolve(value, out) for name, value in _references(run).items()}
    return dataclasses.replace(run, task=dataclasses.replace(run.task, **values))


def missing_presets(runs: Sequence[Experiment], steps: Sequence[str], out: str | Path):
    """Finds the variants whose preset is not there, nor made by a variant before them.

    Args:
        runs: resolved runs, in the order in which they are done.
        steps: what is done; "export" makes presets.
        out: folder of the runs.

    Returns:
        variant → which folder is missing, and the command that makes it where a run does.
    """
    missing: dict[str, str] = {}
    made: set[str] = set()
    for run in runs:
        for reference in _references(run).values():
            folder = resolve(reference, out)
            if reference not in made and not Path(folder).exists():
                command = _command(reference, run, out)
                makes = f"; `{command}` makes it" if command else ""
                missing[run.variant] = folder + makes
        if "export" in steps and run.variant not in missing and run.seed == 1:
            made.add(preset_of(run.name, run.variant))
    return missing


def _references(run: Experiment) -> dict[str, str]:
    """The fields of a run's task that name a preset of another run."""
    values = {field.name: getattr(run.task, field.name) for field in dataclasses.fields(run.task)}
    return {
        name: value
        for name, value in values.items()
        if isinstance(value, str) and value.startswith(f"{RUNS}/")
    }


def _command(reference: str, run: Experiment, out: str | Path) -> str:
    """The command that makes a preset for a run; "" where no run makes it."""
    found = re.fullmatch(r"\{runs\}/([^/]+)/([^/]+)/seed(\d+)/preset", reference)
    if found is None:
        return ""
    experiment, variant, seed = found.groups()
    root = "DATA" if run.data.root == DataConfig().root else shlex.quote(run.data.root)
    command = f"polysemy run {experiment} train export --variant {variant} --set data.root={root}"
    if seed != "1":
        command = f"{command} --seed {seed}"
    return command if str(out) == "runs" else f"{command} --out {shlex.quote(str(out))}"
