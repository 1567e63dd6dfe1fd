"""What a run says when a variant is done, and when all are: closing lines, rows, the best one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .config import Experiment
from .results import append_rows, commit, mean_and_sd


def report(
    runs: Sequence[Experiment],
    done: Sequence[dict[str, Any]],
    scores: dict[str, tuple[float, float]],
    results: str | Path | None,
) -> None:
    """Writes the rows of a variant, of which all seeds are trained to the end, and prints its
    closing line.

    Args:
        runs: the variant's resolved runs, one a seed.
        done: what `result.json` holds of each.
        scores: name → (mean, sd) over the seeds.
        results: CSV file, or None.
    """
    run, result = runs[0], done[0]
    seeds = ", ".join(str(other.seed) for other in runs)
    data = run.data.name or run.data.root
    unfinished = "; ".join(
        f"seed {other.seed} at {each['unfinished']}"
        for other, each in zip(runs, done, strict=True)
        if "unfinished" in each
    )
    lines = []
    if results is not None and unfinished:
        lines.append(f"{run.name} {run.variant}: not written to {results} before all is trained")
    elif results is not None:  # before the first line is printed: rows outlive a broken terminal
        minutes = mean_and_sd([result["minutes"] for result in done])[0]
        common = {
            "experiment": run.name,
            "variant": run.variant,
            "seeds": seeds,
            "data": data,
            "paper": run.paper,
            "commit": commit(),
            "minutes": f"{minutes:.1f}",
            "hardware": result["hardware"],
        }
        rows = [
            {**common, "metric": name, "mean": f"{mean:.6g}", "sd": f"{sd:.3g}"}
            for name, (mean, sd) in scores.items()
        ]
        lines += append_rows(results, rows)
    mean, sd = scores[result["headline"]]
    spread = f" ± {sd:.2g}" if len(runs) > 1 else ""  # one seed measures none
    closing = (
        f"{run.name} {run.variant}: paper {run.paper or 'none'} | "
        f"ours {result['headline']} {mean:.4g}{spread} | data {data} | seeds {seeds}"
    )
    print(closing + (f" | unfinished: {unfinished}" if unfinished else ""), flush=True)
    for line in lines:
        print(line, flush=True)


def best_line(run: Experiment, summary: dict[str, dict[str, tuple[float, float]]]) -> str:
    """Returns what says which variant has the best dev score.

    Args:
        run: any resolved run of the experiment.
        summary: variant → score → (mean, sd).
    """
    task = run.task.create(run)
    name, direction = task.monitor
    monitored = f"{task.dev_split}_{name}"
    choose = max if direction == "max" else min
    best = choose(summary, key=lambda variant: summary[variant][monitored][0])
    headline = f"{task.evaluation_splits[-1]}_{name}"
    scores = " | ".join(f"{key} {summary[best][key][0]:.4g}" for key in (monitored, headline))
    return f"{run.name}: best of {len(summary)} variants by {monitored}: {best} | {scores}"
