"""Typed overrides and the JSON of a configuration."""

import dataclasses
from collections.abc import Mapping

import pytest

from polysemy.recipes.config import (
    Experiment,
    TaskConfig,
    TrainerConfig,
    apply_overrides,
    read_config,
    write_config,
)
from polysemy.recipes.grids import grid


@dataclasses.dataclass(frozen=True)
class Inner(TaskConfig):
    crf: bool = True
    sizes: tuple[int, ...] = (1, 2)
    pair: tuple[str, float] = ("a", 1.0)
    encoder: str | None = "elmo"
    rate: float = 0.5
    weights: Mapping[str, float] = dataclasses.field(default_factory=dict)
    model: Mapping[str, int | list | str] = dataclasses.field(default_factory=dict)


EXPERIMENT = Experiment(
    "toy", Inner(), TrainerConfig(steps=10), variants={"a": {}, "b": {"task.encoder": None}}
)


@pytest.mark.parametrize(
    "text, expected",
    [
        ("crf=false", False),
        ("crf=Yes", True),
        ("sizes=3,4,5", (3, 4, 5)),
        ("sizes=()", ()),
        ("pair=b,2", ("b", 2.0)),
        ("encoder=none", None),
        ("encoder=bert=x", "bert=x"),
        ("rate=1e-4", 1e-4),
    ],
)
def test_values_are_parsed_to_the_type_of_their_field(text, expected):
    task = apply_overrides(EXPERIMENT, [f"task.{text}"]).task
    value = getattr(task, text.split("=")[0])
    assert value == expected and type(value) is type(expected)


def test_whole_numbers_and_entries():
    changed = apply_overrides(
        EXPERIMENT, ["trainer.steps=2e3", "seeds=7", "trainer.optimizer_options.epsilon=1e-6"]
    )
    assert changed.trainer.steps == 2000 and type(changed.trainer.steps) is int
    assert changed.seeds == (7,)
    assert changed.trainer.optimizer_options == {"epsilon": 1e-6}
    assert EXPERIMENT.trainer.steps == 10
    nested = apply_overrides(EXPERIMENT, ["task.model.sizes=[[1, 8], [2, 4]]", "task.model.x=1"])
    assert vars(nested.task)["model"] == {"sizes": [[1, 8], [2, 4]], "x": 1}


@pytest.mark.parametrize(
    "override, message",
    [
        ("trainer.stepz=1", r"Unknown key `trainer.stepz` \(did you mean `trainer.steps`\?\)"),
        ("steps=1", "did you mean `trainer.steps`"),
        ("tsk.rate=1", "did you mean `task.rate`"),
        ("trainer.steps=many", "`trainer.steps` must be int or None. Received: .*'many'"),
        ("trainer.steps=1.5", "`trainer.steps` must be int or None"),
        ("task.crf=2", "`task.crf` must be bool"),
        ("task.pair=a", "`task.pair` must be tuple"),
        ("trainer=x", "must be a leaf"),
        ("task.rate.x=1", "has no parts"),
        ("trainer.steps", "must be written `key=value`"),
        ("trainer.steps=0", "must be at least 1"),
        ("trainer.warmup_steps=-1", "`trainer.warmup_steps` must be at least 0.*warmup_steps=-1"),
        ("trainer.warmup_fraction=1", "`trainer.warmup_fraction` must be at least 0 and below 1"),
        ("trainer.gradient_clip_norm=0", "`trainer.gradient_clip_norm` must be positive.*=0.0"),
        ("trainer.gradient_clip_norm=-1", "`trainer.gradient_clip_norm` must be positive.*=-1.0"),
        ("trainer.gradient_clip_norm=inf", "`trainer.gradient_clip_norm` must be.*finite.*=inf"),
        ("trainer.learning_rate=nan", "`trainer.learning_rate` must be positive and.*=nan"),
        ("trainer.weight_decay=-1", "`trainer.weight_decay` must be finite and at least 0.*=-1.0"),
        ("trainer.optimizer_options.epsilon=nan", "optimizer_options` must be finite.*epsilon=nan"),
        ("trainer.mixed_precision=bf16", "`trainer.mixed_precision` must be one of.*'bf16'"),
        ("task.model.sizes=[[1,8]", r"`task.model.sizes` must be int or list.*'\[\[1,8\]'"),
    ],
)
def test_bad_overrides(override, message):
    with pytest.raises(ValueError, match=message):
        apply_overrides(EXPERIMENT, [override])


def test_a_run_has_one_variant_and_one_seed():
    run = EXPERIMENT.run("b", 5, ["task.rate=2"])
    assert (run.variant, run.seed, run.task) == ("b", 5, Inner(encoder=None, rate=2.0))
    with pytest.raises(ValueError, match="did you mean|must be one of a, b"):
        EXPERIMENT.run("c", 1)
    with pytest.raises(ValueError, match="`trainer.steps` or `trainer.epochs` must be given"):
        EXPERIMENT.run("a", 1, ["trainer.steps=none"])


def test_names_in_a_grid():
    """Near numbers are told apart; what has one name is refused."""
    names = list(grid({"trainer.steps": (1_000_000, 1_000_001), "task.sizes": ((1,), (-2, 3))}))
    assert names == [
        "steps_1e+06_sizes_1",
        "steps_1e+06_sizes_-2,3",
        "steps_1000001_sizes_1",
        "steps_1000001_sizes_-2,3",
    ]
    assert list(grid({"task.encoder": (None, "runs/a")})) == ["encoder_none", "encoder_runs-a"]
    with pytest.raises(ValueError, match="`values` must give each.*both 'rate_1'"):
        grid({"task.rate": (1, 1.0)})


def test_one_warm_up():
    both = ["trainer.warmup_fraction=0.1", "trainer.warmup_steps=5"]
    with pytest.raises(ValueError, match="must be 0 where `trainer.warmup_fraction` is given.*=5"):
        EXPERIMENT.run("a", 1, both)
    assert EXPERIMENT.run("a", 1, [*both, "trainer.warmup_steps=0"]).trainer.warmup_fraction == 0.1
    run = EXPERIMENT.run("a", 1, [*both, "trainer.warmup_fraction=none"])
    assert run.trainer.warmup_steps == 5


def test_a_variant_is_typed():
    wrong = dataclasses.replace(EXPERIMENT, variants={"a": {"task.crf": "yes"}})
    with pytest.raises(ValueError, match="`task.crf` must be bool"):
        wrong.run("a", 1)


def test_json_round_trip(tmp_path):
    run = EXPERIMENT.run("b", 5, ["task.sizes=9", "task.weights.x=3"])
    write_config(run, tmp_path / "config.json")
    assert read_config(tmp_path / "config.json", EXPERIMENT) == run


def test_json_of_another_shape(tmp_path):
    path = tmp_path / "config.json"
    path.write_text('{"task": {"crff": true}}', encoding="utf-8")
    with pytest.raises(ValueError, match="Unknown key `crff`.*`crf`"):
        read_config(path, EXPERIMENT)
