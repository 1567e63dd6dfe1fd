"""Recipes: train, evaluate, export. An experiment is one short file; the trainer and the tasks are
shared.

Example:
>>> from polysemy import recipes
>>> callable(recipes.run_experiment)
True
"""

from .config import DataConfig, Experiment, TaskConfig, TrainerConfig, apply_overrides
from .experiments import get, list_experiments
from .run import run_experiment

__all__ = [
    "DataConfig",
    "Experiment",
    "TaskConfig",
    "TrainerConfig",
    "apply_overrides",
    "get",
    "list_experiments",
    "run_experiment",
]
