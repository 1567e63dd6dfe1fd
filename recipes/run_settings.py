"""What `key=value` settings make of an experiment: what is refused, how data are called."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable

from .config import Experiment, apply_overrides

HINTS = {
    "name": "which names its runs' folders",
    "variants": "of which `--variant` chooses",
}


def override(experiment: Experiment, overrides: Iterable[str]) -> Experiment:
    """Returns an experiment with settings applied.

    Another `task.corpus` is other data, which are called by its name and of which the paper's value
    is unknown, unless the settings have `data.name` and `paper`.

    Raises:
        ValueError: an unknown key, a value of another type, no seeds, or a setting of the
            experiment's `name` or `variants`.

    Example:
    >>> from polysemy.recipes.experiments import get
    >>> override(get("bert_trec"), ["task.corpus=trec_fine"]).data.name
    'trec_fine'
    """
    overrides = list(overrides)
    for text in overrides:
        name = re.split("[.=]", text)[0].strip()
        if name in HINTS:
            raise ValueError(
                f"`overrides` must leave the experiment its `{name}`, {HINTS[name]}. "
                f"Received: override={text!r}."
            )
    changed = apply_overrides(experiment, overrides)
    if not changed.seeds:
        raise ValueError("`seeds` must be at least one. Received: seeds=().")
    return _named(changed, experiment, _keys(overrides))


def resolve_run(
    experiment: Experiment, variant: str, seed: int, overrides: Iterable[str]
) -> Experiment:
    """Returns one run: the variant's values, then the settings, as `override` applies them."""
    overrides = list(overrides)
    run = experiment.run(variant, seed, overrides)
    return _named(run, experiment, _keys(overrides) | set(experiment.variants[variant]))


def _keys(overrides: Iterable[str]) -> set[str]:
    return {text.partition("=")[0].strip() for text in overrides}


def _named(changed: Experiment, experiment: Experiment, keys: set[str]) -> Experiment:
    """Calls the data of another corpus by its name, and leaves the paper's value out."""
    corpus = getattr(changed.task, "corpus", None)
    if corpus is None or corpus == getattr(experiment.task, "corpus", None):
        return changed
    if "data.name" not in keys:
        changed = dataclasses.replace(
            changed, data=dataclasses.replace(changed.data, name=str(corpus))
        )
    return changed if "paper" in keys else dataclasses.replace(changed, paper="")
