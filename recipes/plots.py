"""Pictures of what was trained: learning curves, and the layers that a task has chosen."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.figure import Figure

COLORS = ("#4477aa", "#ee6677", "#228833", "#ccbb44", "#66ccee", "#aa3377")


def learning_curves(runs: Mapping[str, str | Path], metric: str, path: str | Path) -> Path:
    """Draws a score after each epoch, one line a run.

    Args:
        runs: label → folder of a run, with its `metrics.csv`.
        metric: str. A column of it, such as "dev_f1".
        path: where the PNG goes.

    Raises:
        ValueError: a run has no such column.
    """
    figure = Figure(figsize=(6.4, 4.0), layout="constrained")
    axes = figure.subplots()
    for (label, folder), color in zip(runs.items(), COLORS * len(runs), strict=False):
        epochs, scores = _column(Path(folder) / "metrics.csv", metric)
        axes.plot(epochs, scores, marker="o", markersize=4, color=color, label=label)
        axes.annotate(f" {scores[-1]:.3g}", (epochs[-1], scores[-1]), color=color, va="center")
    axes.set_xlabel("epoch")
    axes.set_ylabel(metric.replace("_", " "))
    axes.set_title(f"{metric.replace('_', ' ')} after each epoch")
    axes.legend(frameon=False)
    return _save(figure, axes, path)


def layer_weights(
    weights: Mapping[str, Sequence[Sequence[float]]],
    path: str | Path,
    title: str = "",
    names: Sequence[str] | None = None,
) -> Path:
    """Draws the softmaxed weight of each layer of the encoder, one group of bars a task.

    Args:
        weights: label of a task → one list of K weights for each seed, lowest layer first.
        path: where the PNG goes.
        title: str.
        names: of the layers, lowest first; None: an ELMo's where there are three layers, else
            those that layers of any encoder have.

    Raises:
        ValueError: fewer `names` than layers.
    """
    labels = list(weights)
    rows = [np.asarray(weights[label], dtype=float) for label in labels]  # (seeds, K) each
    num_layers = max(row.shape[1] for row in rows)
    names = _layer_names(num_layers) if names is None else names
    if len(names) < num_layers:
        raise ValueError(
            f"`names` must be those of {num_layers} layers. Received: names={list(names)}"
        )
    group = max(1.8, 0.42 * num_layers)  # inches; a bar is as wide as the number above it
    inches = 1.6 + group * max(2, len(weights))
    figure = Figure(figsize=(inches, 4.0), layout="constrained")
    axes = figure.subplots()
    width = 0.8 / num_layers
    for k, color in enumerate(_colors(num_layers)):
        at = [i for i, row in enumerate(rows) if k < row.shape[1]]
        x = np.array(at) + (k - (num_layers - 1) / 2) * width
        means = [rows[i][:, k].mean() for i in at]
        spread = [rows[i][:, k].std() for i in at]
        bars = axes.bar(x, means, width, yerr=spread, capsize=2, color=color, label=names[k])
        axes.bar_label(bars, fmt="%.2f", padding=2, fontsize=8)
    even = {"color": "0.6", "linewidth": 0.8, "linestyle": "--", "zorder": 0}
    if all(row.shape[1] == num_layers for row in rows):
        axes.axhline(1 / num_layers, **even)
    else:
        for i, row in enumerate(rows):
            axes.hlines(1 / row.shape[1], i - 0.5, i + 0.5, **even)
    axes.set_xticks(range(len(labels)), labels)
    axes.set_ylabel("weight of the layer in the mix")
    axes.set_title(title or "Layers that each task mixes (dashed: even)")
    columns = min(num_layers, int(inches / 1.6))
    room = 1.35 + 0.12 * (math.ceil(num_layers / columns) - 1)
    axes.set_ylim(0, max(row.max() for row in rows) * room)
    axes.legend(frameon=False, ncols=columns, loc="upper center", fontsize=9)
    return _save(figure, axes, path)


def _layer_names(num_layers: int) -> list[str]:
    if num_layers == 3:
        return ["characters (layer 0)", "LSTM layer 1", "LSTM layer 2"]
    return ["embeddings (layer 0)", *(f"layer {k}" for k in range(1, num_layers))]


def _colors(number: int) -> list[Any]:
    """As many distinct colours; beyond those chosen by hand they rise with the layer."""
    if number <= len(COLORS):
        return list(COLORS[:number])
    return [colormaps["viridis"](k / (number - 1)) for k in range(number)]


def read_layer_weights(
    out: str | Path, experiment: str, variant: str, place: str = "input"
) -> list[list[float]]:
    """Reads the learned weights of every finished seed of a run: seeds × K.

    Raises:
        FileNotFoundError: no evaluated run of this variant lies in `out`.
    """
    found = []
    for path in sorted((Path(out) / experiment / variant).glob("seed*/result.json")):
        details = json.loads(path.read_text(encoding="utf-8")).get("details", {})
        if place in details.get("layer_weights", {}):
            found.append(details["layer_weights"][place])
    if not found:
        raise FileNotFoundError(
            f"`out` must hold an evaluated run of {experiment} {variant} with a mix at {place!r}. "
            f"Received: out={str(out)!r}"
        )
    return found


def _column(path: Path, metric: str) -> tuple[list[int], list[float]]:
    with open(path, newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    if not rows or metric not in rows[0]:
        raise ValueError(
            f"`metric` must be a column of {path}. Received: metric={metric!r}, "
            f"columns={sorted(rows[0]) if rows else []}"
        )
    return [int(row["epoch"]) for row in rows], [float(row[metric]) for row in rows]


def _save(figure: Figure, axes, path: str | Path) -> Path:
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=150)
    return Path(path)
