"""run_experiment: an experiment's variants and seeds, trained, evaluated, exported, summed up."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from ..zoo.model import ZooModel
from .config import Experiment, read_config, to_dict, write_config
from .overrides import nearest
from .replacing import replacing
from .report import best_line, report
from .results import mean_and_sd
from .run_presets import missing_presets, resolve, resolve_presets
from .strategy import build_strategy, describe_hardware, is_chief
from .tasks.task import Task
from .trainer import Trainer

STEPS = ("train", "evaluate", "export")

# What may differ when a run is continued: where it runs, not what it computes.
MOVABLE = (
    "data.root",
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


def run_experiment(
    experiment: Experiment | str,
    steps: Sequence[str] = ("train", "evaluate"),
    overrides: Iterable[str] = (),
    out: str | Path = "runs",
    seeds: Sequence[int] | None = None,
    variants: Sequence[str] | None = None,
    results: str | Path | None = None,
) -> dict[str, dict[str, tuple[float, float]]]:
    """Runs an experiment: each variant with each seed in `OUT/<experiment>/<variant>/seed<k>`.

    As soon as a variant has all its seeds, its closing line is printed and its rows are written.
    What is done already is not done again: the same command after an interruption goes on where it
    was.

    A variant that starts from another run's preset (`run_presets`) needs it in `out`.

    Args:
        experiment: Experiment, or the name of one.
        steps: what to do, of "train", "evaluate" and "export", in this order.
        overrides: `key=value` settings, such as "trainer.steps=100".
        out: folder of the runs.
        seeds: seeds instead of the experiment's.
        variants: names of the variants to run; None: all but those whose preset is not there, of
            which a line says how to make it.
        results: CSV file to which a row for each score is written; None: none is.

    Returns:
        variant → score (`test_f1`) → (mean, sd) over the seeds; empty where nothing has been
        evaluated.

    Raises:
        ValueError: an unknown step, variant or setting, or a run folder that holds another
            configuration.
        FileNotFoundError: the preset of a variant out of `variants`, or of each variant, is
            missing; names the folder and the command that makes it.
    """
    if isinstance(experiment, str):
        from .experiments import (
            get,
        )  # not above: experiments import tasks, which import this package

        experiment = get(experiment)
    for step in steps:
        if step not in STEPS:
            raise ValueError(
                f"`steps` must be of {', '.join(STEPS)}{nearest(step, STEPS)}. Received: "
                f"step={step!r}."
            )
    overrides = list(overrides)
    chosen = list(experiment.variants if variants is None else variants)
    runs = [
        experiment.run(variant, seed, overrides)
        for variant in chosen
        for seed in (experiment.seeds if seeds is None else seeds)
    ]  # all are resolved before the first one runs, so that a slip shows at once
    to_do = [run for run in runs if not all(_steps_done(_folder(run, out))[s] for s in steps)]
    missing = missing_presets(to_do, steps, out)
    if missing and (variants is not None or len(missing) == len(chosen)):
        raise FileNotFoundError(
            "`variant` must have the preset that it starts from. Received: "
            + "; ".join(f"variant={name!r}, without {what}" for name, what in missing.items())
        )
    strategy = build_strategy(runs[0].trainer.strategy)
    chief = is_chief(strategy)
    for variant, what in missing.items():
        _speaker(chief)(f"{experiment.name} {variant}: skipped, without {what}")
    summary: dict[str, dict[str, tuple[float, float]]] = {}
    for variant in chosen:
        if variant in missing:
            continue
        of_variant = [run for run in runs if run.variant == variant]
        done = [_run(run, steps, _folder(run, out), strategy) for run in of_variant]
        if not all(result.get("scores") for result in done):
            continue
        summary[variant] = {
            name: mean_and_sd([result["scores"][name] for result in done])
            for name in done[0]["scores"]
        }
        if chief:
            report(of_variant, done, summary[variant], results)
    if experiment.choose_best and chief and summary:
        print(best_line(runs[0], summary), flush=True)
    return summary


def build_trainer(
    run: Experiment, directory: str | Path, strategy: tf.distribute.Strategy | None = None
) -> Trainer:
    """Returns the trainer of a resolved run, its task set up and its model built.

    Args:
        run: Experiment resolved by `experiment.run(variant, seed)`.
        directory: folder of the run, `OUT/<experiment>/<variant>/seed<k>`; other runs' presets are
            looked for in this OUT.
        strategy: a `tf.distribute` strategy, or None for one device.
    """
    # Names of variables start anew, so that a resumed run has the same. The dtype policy is
    # forgotten with them.
    policy = keras.config.dtype_policy()
    keras.backend.clear_session()
    keras.config.set_dtype_policy(policy)
    keras.utils.set_random_seed(run.seed)
    run = resolve_presets(run, _runs_folder(os.path.abspath(directory)))
    task: Task = run.task.create(run)
    task.setup(Path(run.data.root))
    return Trainer(task, directory, strategy)


def _run(
    run: Experiment,
    steps: Sequence[str],
    directory: Path,
    strategy: tf.distribute.Strategy | None,
) -> dict[str, Any]:
    """Does the steps of one variant with one seed, as far as they are not done; returns what
    `result.json` holds.
    """
    chief = is_chief(strategy)
    say = _speaker(chief)
    say(f"{run.name} {run.variant} seed {run.seed}: {', '.join(steps)} in {directory}")
    _claim(run, directory, chief)
    path = directory / "result.json"
    result, is_done = _read_result(directory), _steps_done(directory)
    if all(is_done[step] for step in steps):
        say(f"already done: nothing to {' or '.join(steps)} in {directory}")
        return result
    with _precision(run):
        trainer = build_trainer(run, directory, strategy)
        for step in STEPS:
            if step not in steps:
                continue
            if step == "train":
                state = trainer.train()
                result |= {
                    "steps": state.step,
                    "epochs": state.epoch,
                    "best_epoch": state.best_epoch,
                }
                result |= {"minutes": state.seconds / 60, "tokens": state.tokens}
                result |= {"hardware": describe_hardware()}
            elif step == "evaluate" and not is_done["evaluate"]:
                trainer.load_best()
                splits = trainer.task.evaluation_splits
                result["scores"] = {
                    f"{split}_{name}": score
                    for split in splits
                    for name, score in trainer.evaluate(split).items()
                }
                result["headline"] = f"{splits[-1]}_{trainer.task.monitor[0]}"
                result["details"] = trainer.task.details(trainer.model)
            elif step == "export" and not is_done["export"] and chief:
                result["export"] = _export(trainer, directory / "export")
            if chief:
                with replacing(path) as file:
                    file.write(json.dumps(result, indent=2) + "\n")
    return result


def _folder(run: Experiment, out: str | Path) -> Path:
    """The folder of a resolved run."""
    return Path(out) / run.name / run.variant / f"seed{run.seed}"


def _runs_folder(directory: str | Path) -> Path:
    """The folder of the runs, from that of one of them."""
    return Path(directory).parent.parent.parent


def _read_result(directory: Path) -> dict[str, Any]:
    """What `result.json` holds, nothing where there is none."""
    path = directory / "result.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def _steps_done(directory: Path) -> dict[str, bool]:
    """Which of the steps a run has behind it."""
    result = _read_result(directory)
    exported = "export" in result and Path(result["export"]).exists()
    return {"train": "steps" in result, "evaluate": "scores" in result, "export": exported}


def export_run(directory: str | Path, to: str | Path) -> str:
    """Exports the best weights of a trained run as the next version in `to`, and as the run's
    preset folder.

    Args:
        directory: folder of the run, with its `config.json`.
        to: folder of the model.

    Returns:
        The path of the version.
    """
    from .experiments import get  # not above: experiments import tasks, which import this package

    path = Path(directory) / "config.json"
    name = json.loads(path.read_text(encoding="utf-8"))["name"]
    run = read_config(path, get(name))
    with _precision(run):
        return _export(build_trainer(run, directory), Path(to))


def _export(trainer: Trainer, to: Path) -> str:
    from ..serving import export  # not above: training needs no serving

    trainer.load_best()
    details = _read_result(trainer.directory).get("details", {})
    trainer.task.complete(trainer.model, details)
    path = str(export(trainer.task.export_model(trainer.model), to))
    kept = trainer.task.preset_model(trainer.model)
    if isinstance(kept, ZooModel):
        kept.save_to_preset(trainer.directory / "preset")
    return path


@contextmanager
def _precision(run: Experiment) -> Iterator[None]:
    """Within the block layers are made with the run's dtype policy."""
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy(run.trainer.mixed_precision)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(policy)


def _speaker(chief: bool) -> Callable[[str], None]:
    """What prints a line, of the chief; the other workers say nothing."""
    return partial(print, flush=True) if chief else _say_nothing


def _say_nothing(text: str) -> None:
    """What a worker that is not the chief prints."""


def _claim(run: Experiment, directory: Path, chief: bool) -> None:
    """Writes `config.json` into the run's folder; refuses a folder with the results of another
    configuration.
    """
    path = directory / "config.json"
    if path.exists() and any((directory / name).exists() for name in RESULTS):
        out = _runs_folder(directory)
        old = _flatten(json.loads(path.read_text(encoding="utf-8")), out)
        new = _flatten(json.loads(json.dumps(to_dict(run))), out)
        differing = [
            f"  {key}: {old.get(key)!r} there, {new.get(key)!r} now"
            for key in sorted(old.keys() | new.keys())
            if old.get(key) != new.get(key) and key not in MOVABLE
        ]
        if differing:
            raise ValueError(
                "A run folder must be continued with its own configuration; choose another `out`, "
                "or remove it. "
                f"Received: {directory}, with\n" + "\n".join(differing)
            )
        return
    if chief:
        directory.mkdir(parents=True, exist_ok=True)
        write_config(run, path)


def _flatten(tree: Any, out: Path, prefix: str = "") -> dict[str, Any]:
    """Returns the leaves of a JSON tree by dotted names, other runs' presets where they lie."""
    if not isinstance(tree, dict):
        return {prefix[:-1]: resolve(tree, out) if isinstance(tree, str) else tree}
    leaves: dict[str, Any] = {}
    for key, value in tree.items():
        leaves |= _flatten(value, out, f"{prefix}{key}.")
    return leaves
