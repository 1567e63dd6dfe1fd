"""run_experiment: an experiment's variants and seeds, trained, evaluated, exported, summed up."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from ..zoo.model import ZooModel
from .config import Experiment, apply_overrides, read_config
from .overrides import nearest
from .report import best_line, report
from .results import check_results, mean_and_sd
from .run_folder import RunFolder, training_result
from .run_presets import missing_presets, resolve_presets
from .run_settings import override, resolve_run
from .strategy import build_strategy, is_chief, speaker
from .tasks.task import Task
from .trainer import Trainer

STEPS = ("train", "evaluate", "export")


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
    settings = override(experiment, overrides)
    if results is not None:
        check_results(results)
    chosen = list(dict.fromkeys(experiment.variants if variants is None else variants))
    runs = [
        resolve_run(experiment, variant, seed, overrides)
        for variant in chosen
        for seed in dict.fromkeys(settings.seeds if seeds is None else seeds)
    ]  # all are resolved before the first one runs, so that a slip shows at once
    to_do = [run for run in runs if not all(_folder(run, out).done()[step] for step in steps)]
    missing = missing_presets(to_do, steps, out)
    if missing and (variants is not None or len(missing) == len(chosen)):
        raise FileNotFoundError(
            "`variant` must have the preset that it starts from. Received: "
            + "; ".join(f"variant={name!r}, without {what}" for name, what in missing.items())
        )
    strategy = build_strategy(runs[0].trainer.strategy)
    chief = is_chief(strategy)
    for variant, what in missing.items():
        speaker(chief)(f"{experiment.name} {variant}: skipped, without {what}")
    summary: dict[str, dict[str, tuple[float, float]]] = {}
    for variant in chosen:
        if variant in missing:
            continue
        of_variant = [run for run in runs if run.variant == variant]
        done = [_run(run, steps, _folder(run, out, chief), strategy) for run in of_variant]
        if not all(result.get("scores") for result in done):
            continue
        summary[variant] = {
            name: mean_and_sd([result["scores"][name] for result in done])
            for name in done[0]["scores"]
        }
        if chief:
            report(of_variant, done, summary[variant], results)
    if settings.choose_best and chief and summary:
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
    run = resolve_presets(run, RunFolder(os.path.abspath(directory)).out)
    task: Task = run.task.create(run)
    task.setup(Path(run.data.root))
    return Trainer(task, directory, strategy)


def _run(
    run: Experiment,
    steps: Sequence[str],
    folder: RunFolder,
    strategy: tf.distribute.Strategy | None,
) -> dict[str, Any]:
    """Does the steps of one variant with one seed, as far as they are not done; returns what
    `result.json` holds.
    """
    say = speaker(folder.writes)
    say(f"{run.name} {run.variant} seed {run.seed}: {', '.join(steps)} in {folder.path}")
    folder.claim(run)
    result, is_done = folder.read_result(), folder.done()
    if all(is_done[step] for step in steps):
        say(f"already done: nothing to {' or '.join(steps)} in {folder.path}")
        return result
    with _precision(run):
        trainer = build_trainer(run, folder.path, strategy)
        if "train" in steps and not is_done["train"]:
            if result:
                folder.write_result({})  # it is of weights that are not the last ones
            result = training_result(trainer.train())
            folder.write_result(result)
        elif "steps" not in result and trainer.best_weights.exists():
            result["unfinished"] = folder.progress(run)
            say(_unfinished(result["unfinished"]))
        if "evaluate" in steps and not is_done["evaluate"]:
            trainer.load_best()
            splits = trainer.task.evaluation_splits
            result["scores"] = {
                f"{split}_{name}": score
                for split in splits
                for name, score in trainer.evaluate(split).items()
            }
            result["headline"] = f"{splits[-1]}_{trainer.task.monitor[0]}"
            result["details"] = trainer.task.details(trainer.model)
            folder.write_result(result)
        if "export" in steps and not is_done["export"] and folder.writes:
            result["export"] = _export(trainer, folder.path / "export")
            folder.write_result(result)
    return result


def _folder(run: Experiment, out: str | Path, writes: bool = True) -> RunFolder:
    """The folder of a resolved run."""
    return RunFolder(Path(out) / run.name / run.variant / f"seed{run.seed}", writes)


def _unfinished(progress: str) -> str:
    return (
        f"the training is unfinished, at {progress}: these are the best weights so far; the step "
        "`train` goes on"
    )


def export_run(
    directory: str | Path,
    to: str | Path,
    overrides: Iterable[str] = (),
    experiment: str | None = None,
) -> str:
    """Exports the best weights of a trained run as the next version in `to`, and as the run's
    preset folder. Where the training is unfinished, a line on stderr says so.

    Args:
        directory: folder of the run, with its `config.json`.
        to: folder of the model.
        overrides: `key=value` settings that say where the run is, such as "data.root=/corpora" if
            the data have moved.
        experiment: str. The file of the run's experiment, where it is none of the package's.

    Returns:
        The path of the version.

    Raises:
        ValueError: an override that changes what the run has computed, other data, or the
            experiment of another run.
    """
    from .experiments import get  # not above: experiments import tasks, which import this package

    path = Path(directory) / "config.json"
    name = json.loads(path.read_text(encoding="utf-8"))["name"]
    try:
        like = get(experiment or name)
    except ValueError as error:
        if experiment is not None:
            raise
        raise ValueError(
            "`experiment` must be the file of the run's experiment, where it is none of the "
            f"package's. Received: experiment=None, for a run of {name!r}."
        ) from error
    if like.name != name:
        raise ValueError(
            f"`experiment` must be that of the run, {name}. Received: experiment={experiment!r}."
        )
    run, folder = apply_overrides(read_config(path, like), overrides), RunFolder(directory)
    folder.claim(run)
    with _precision(run):
        trainer = build_trainer(run, directory)
        if not folder.done()["train"] and (folder.path / "best.weights.h5").exists():
            print(_unfinished(folder.progress(run)), file=sys.stderr)
        return _export(trainer, Path(to))


def _export(trainer: Trainer, to: Path) -> str:
    from ..serving import export  # not above: training needs no serving

    trainer.load_best()
    details = RunFolder(trainer.directory).read_result().get("details", {})
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
