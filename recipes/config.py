"""The configuration of an experiment: frozen dataclasses, typed overrides, JSON.

An experiment is a tree of frozen dataclasses. Its leaves are overridden by dotted names, each value
parsed to the type that the field declares, and the resolved tree is written as JSON beside the
checkpoints. Nothing here imports TensorFlow.
"""

from __future__ import annotations

import dataclasses
import json
import math
import typing
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from .overrides import convert, nearest, set_leaf
from .replacing import replacing

if TYPE_CHECKING:
    from .tasks.task import Task

T = TypeVar("T")

PRECISIONS = ("float32", "mixed_bfloat16", "mixed_float16", "bfloat16", "float16", "float64")


@dataclasses.dataclass(frozen=True)
class DataConfig:
    """Where the data are.

    Args:
        root: str. Folder that holds the data set, in the layout the task's reader expects.
        name: str. What the closing line and `results.csv` call the data, such as "WNUT-17".
    """

    root: str = "data"
    name: str = ""


@dataclasses.dataclass(frozen=True)
class TaskConfig:
    """What is learned. Each task subclasses it with its own fields and implements `create`."""

    def create(self, experiment: Experiment) -> Task:
        """Returns the task that this configures; `experiment` is resolved to one variant and one
        seed.
        """
        raise NotImplementedError(f"`{type(self).__name__}` must implement `create(experiment)`.")

    def data_files(self) -> Sequence[str]:
        """Returns the files that it reads, by their paths below `data.root`; they may be missing. A
        run is not continued with others.
        """
        return ()


@dataclasses.dataclass(frozen=True)
class TrainerConfig:
    """How it is learned. A step is one batch, of the global batch size; an epoch ends with an
    evaluation and a checkpoint.

    Args:
        steps: int or None. Training ends after so many steps.
        epochs: int or None. Training ends after so many epochs. Of both, whichever comes first; one
            must be given. Schedules count as many steps as that makes.
        steps_per_epoch: int or None. Steps of one epoch; None: one pass over the training data.
        optimizer: str. Name of a Keras optimizer: "adam", "adamw", "adagrad", "adadelta", "sgd" …
        optimizer_options: mapping of str to float. Further arguments of the optimizer, such as
            `initial_accumulator_value`.
        learning_rate: float. The highest rate of the schedule.
        schedule: str. "constant", "linear" (to zero at the last step) or "inverse_sqrt"; each after
            the warm-up.
        warmup_steps: int. Updates over which the rate rises linearly from zero.
        warmup_fraction: float or None. The same as a share of all updates, such as 0.1, rounded
            down; instead of `warmup_steps`.
        weight_decay: float or None. Decoupled decay of kernels and embeddings, not of biases and
            normalization; None: none, whatever the optimizer's own default.
        layer_decay: float or None. Factor by which the rate falls from a layer of the encoder to
            the one below it; all that is not the encoder's has the whole rate. See
            `optimizers.layer_depth`.
        gradient_clip_norm: float or None. Global norm to which the gradient of the global batch is
            clipped.
        gradient_accumulation: int. Batches whose gradients are averaged into one update; at most
            the steps of the training.
        patience: int or None. Epochs without a better dev score after which training ends; None:
            never.
        mixed_precision: str. Keras dtype policy: "float32", "mixed_bfloat16", "mixed_float16",
            "bfloat16", "float16" or "float64". The mixed ones keep their weights in float32; in
            pure "bfloat16" and "float16" each weight is rounded to 8 and 11 bits after each
            update, and no loss is scaled.
        jit_compile: bool. Compile the training step with XLA.
        strategy: str. "auto", "one_device", "mirrored", "multi_worker" or "tpu".
    """

    steps: int | None = None
    epochs: int | None = None
    steps_per_epoch: int | None = None
    optimizer: str = "adam"
    optimizer_options: Mapping[str, float] = dataclasses.field(default_factory=dict)
    learning_rate: float = 1e-3
    schedule: str = "constant"
    warmup_steps: int = 0
    warmup_fraction: float | None = None
    weight_decay: float | None = None
    layer_decay: float | None = None
    gradient_clip_norm: float | None = None
    gradient_accumulation: int = 1
    patience: int | None = None
    mixed_precision: str = "float32"
    jit_compile: bool = False
    strategy: str = "auto"

    def __post_init__(self):
        for key in ("steps", "epochs", "steps_per_epoch", "gradient_accumulation", "patience"):
            value = getattr(self, key)
            if value is not None and value < 1:
                raise ValueError(f"`trainer.{key}` must be at least 1. Received: {key}={value}.")
        if not 0 < self.learning_rate < math.inf:
            raise ValueError(
                "`trainer.learning_rate` must be positive and finite. "
                f"Received: learning_rate={self.learning_rate}."
            )
        if self.warmup_steps < 0:
            raise ValueError(
                "`trainer.warmup_steps` must be at least 0. "
                f"Received: warmup_steps={self.warmup_steps}."
            )
        if self.warmup_fraction is not None and not 0 <= self.warmup_fraction < 1:
            raise ValueError(
                "`trainer.warmup_fraction` must be at least 0 and below 1. "
                f"Received: warmup_fraction={self.warmup_fraction}."
            )
        if self.layer_decay is not None and not 0 < self.layer_decay <= 1:
            raise ValueError(
                "`trainer.layer_decay` must be above 0 and at most 1. "
                f"Received: layer_decay={self.layer_decay}."
            )
        if self.gradient_clip_norm is not None and not 0 < self.gradient_clip_norm < math.inf:
            raise ValueError(
                "`trainer.gradient_clip_norm` must be positive and finite, or none for no "
                f"clipping. Received: gradient_clip_norm={self.gradient_clip_norm}."
            )
        if self.weight_decay is not None and not 0 <= self.weight_decay < math.inf:
            raise ValueError(
                "`trainer.weight_decay` must be finite and at least 0, or none for no decay. "
                f"Received: weight_decay={self.weight_decay}."
            )
        for name, value in self.optimizer_options.items():
            if not math.isfinite(value):
                raise ValueError(
                    "`trainer.optimizer_options` must be finite. "
                    f"Received: optimizer_options.{name}={value}."
                )
        if self.mixed_precision not in PRECISIONS:
            raise ValueError(
                "`trainer.mixed_precision` must be one of "
                f"{', '.join(PRECISIONS)}{nearest(self.mixed_precision, PRECISIONS)}. "
                f"Received: mixed_precision={self.mixed_precision!r}."
            )

    def check_warmup(self) -> None:
        """Refuses two warm-ups. Not at once: one override may take one away, the next one give
        the other.
        """
        if self.warmup_steps and self.warmup_fraction is not None:
            raise ValueError(
                "`trainer.warmup_steps` must be 0 where `trainer.warmup_fraction` is given, or the "
                f"latter none. Received: warmup_steps={self.warmup_steps}, "
                f"warmup_fraction={self.warmup_fraction}."
            )


@dataclasses.dataclass(frozen=True)
class Experiment:
    """One experiment of a paper, on data that one has.

    Args:
        name: str. The name of its file in `recipes/experiments`.
        task: TaskConfig. What is learned, with which model.
        trainer: TrainerConfig.
        data: DataConfig.
        seeds: tuple of int. One run for each.
        variants: mapping. A small grid: name → dotted overrides, such as `{"no_lm":
            {"task.encoder": None}}`.
        paper: str. The published value, for the closing line.
        expected: str. The score to expect here, with the hardware and the minutes; for the list of
            experiments, where `results.csv` has none.
        choose_best: bool. The variants are settings of one model: after the step `evaluate` a line
            names the one with the best dev score.
        description: str. One line for the list of experiments.
    """

    name: str
    task: TaskConfig
    trainer: TrainerConfig
    data: DataConfig = dataclasses.field(default_factory=DataConfig)
    seeds: tuple[int, ...] = (1, 2, 3)
    variants: Mapping[str, Mapping[str, Any]] = dataclasses.field(
        default_factory=lambda: {"default": {}}
    )
    paper: str = ""
    expected: str = ""
    choose_best: bool = False
    description: str = ""

    def run(self, variant: str, seed: int, overrides: Iterable[str] = ()) -> Experiment:
        """Resolves the experiment to one run: this variant's overrides, then the given ones, one
        variant, one seed.
        """
        if variant not in self.variants:
            raise ValueError(
                "`variant` must be one of "
                f"{', '.join(self.variants)}{nearest(variant, self.variants)}. "
                f"Received: variant={variant!r}."
            )
        resolved = apply_overrides(set_values(self, self.variants[variant]), overrides)
        # Not before: one override may take away the steps and the next one give the epochs.
        if resolved.trainer.steps is None and resolved.trainer.epochs is None:
            raise ValueError(
                "`trainer.steps` or `trainer.epochs` must be given. "
                "Received: steps=None, epochs=None."
            )
        resolved.trainer.check_warmup()
        return dataclasses.replace(resolved, seeds=(seed,), variants={variant: {}})

    @property
    def seed(self) -> int:
        """The seed of a resolved run."""
        return self.seeds[0]

    @property
    def variant(self) -> str:
        """The variant of a resolved run."""
        return next(iter(self.variants))


def apply_overrides(experiment: Experiment, overrides: Iterable[str]) -> Experiment:
    """Returns the experiment with `key=value` overrides applied, each value parsed to the type of
    its field.

    Raises:
        ValueError: an override without "=", an unknown key (the nearest valid one is named) or a
            value of another type.

    Example:
    >>> from polysemy.recipes.config import Experiment, TaskConfig, TrainerConfig, apply_overrides
    >>> experiment = Experiment("toy", TaskConfig(), TrainerConfig(steps=10))
    >>> apply_overrides(experiment, ["trainer.steps=2e3", "data.root=/corpora"]).trainer.steps
    2000
    """
    for override in overrides:
        key, equals, text = override.partition("=")
        if not equals or not key:
            raise ValueError(
                f"An override must be written `key=value`. Received: override={override!r}."
            )
        experiment = set_leaf(experiment, key.strip(), key.strip().split("."), text, from_text=True)
    return experiment


def set_values(experiment: Experiment, values: Mapping[str, Any]) -> Experiment:
    """Returns the experiment with dotted keys set to Python values, which must have the type of
    their field.
    """
    for key, value in values.items():
        experiment = set_leaf(experiment, key, key.split("."), value, from_text=False)
    return experiment


def to_dict(config: Any) -> Any:
    """Turns a configuration tree into what JSON can hold."""
    if dataclasses.is_dataclass(config) and not isinstance(config, type):
        return {
            field.name: to_dict(getattr(config, field.name)) for field in dataclasses.fields(config)
        }
    if isinstance(config, Mapping):
        return {str(key): to_dict(value) for key, value in config.items()}
    if isinstance(config, (list, tuple)):
        return [to_dict(value) for value in config]
    return config


def from_dict(values: Mapping[str, Any], like: T) -> T:
    """Rebuilds a configuration from `to_dict`'s values; `like`, an experiment of the same name,
    gives the classes.

    Raises:
        ValueError: a key that the classes do not have, or a value of another type.
    """
    if not dataclasses.is_dataclass(like) or isinstance(like, type):
        raise ValueError(f"`like` must be a dataclass instance. Received: like={like!r}.")
    fields = {}
    hints = typing.get_type_hints(type(like))
    for key, value in values.items():
        if key not in hints:
            raise ValueError(f"Unknown key `{key}` of {type(like).__name__}{nearest(key, hints)}.")
        part = getattr(like, key)
        if dataclasses.is_dataclass(part):
            fields[key] = from_dict(value, part)
        else:
            fields[key] = convert(key, value, hints[key], from_text=False)
    return dataclasses.replace(like, **fields)


def write_config(experiment: Experiment, path: str | Path) -> None:
    """Writes the tree as JSON."""
    text = json.dumps(to_dict(experiment), indent=2, ensure_ascii=False)
    with replacing(path) as file:
        file.write(text + "\n")


def read_config(path: str | Path, like: Experiment) -> Experiment:
    """Reads what `write_config` wrote; `like` is the registered experiment of that name."""
    return from_dict(json.loads(Path(path).read_text(encoding="utf-8")), like)
