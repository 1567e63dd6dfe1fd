"""Training, evaluation and the files of a run, on one device."""

import csv
import dataclasses
import json

import keras
import numpy as np
import pytest

from polysemy.recipes.callbacks import BestWeights, Epochs, Progress
from polysemy.recipes.config import TrainerConfig
from polysemy.recipes.optimizers import build_optimizer
from polysemy.recipes.run import build_trainer, run_experiment
from polysemy.recipes.schedules import InverseSquareRoot, WarmupLinearDecay
from polysemy.recipes.state import TrainingState


def test_a_run_and_the_same_command_again(toy_task, tmp_path, capsys):
    results = tmp_path / "results.csv"
    arguments = {"out": tmp_path, "seeds": (1, 2), "results": results}
    scores = run_experiment(toy_task.toy, **arguments)

    folder = tmp_path / "toy" / "wide" / "seed2"
    assert {path.name for path in folder.iterdir()} == {
        "config.json",
        "metrics.csv",
        "checkpoint",
        "best.weights.h5",
        "tensorboard",
        "result.json",
    }
    assert json.loads((folder / "config.json").read_text())["task"]["units"] == 16
    with open(folder / "metrics.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["epoch"], row["step"]) for row in rows] == [("1", "10"), ("2", "20"), ("3", "30")]
    result = json.loads((folder / "result.json").read_text())
    best = max(rows, key=lambda row: float(row["dev_accuracy"]))
    assert result["scores"]["dev_accuracy"] == pytest.approx(float(best["dev_accuracy"]))
    assert result["best_epoch"] == int(best["epoch"])

    first = [
        json.loads((tmp_path / "toy" / "wide" / f"seed{seed}" / "result.json").read_text())
        for seed in (1, 2)
    ]
    expected = np.mean([run["scores"]["test_accuracy"] for run in first])
    assert scores["wide"]["test_accuracy"][0] == pytest.approx(expected)
    output = capsys.readouterr().out
    closing = f"toy wide: paper 99.0 | ours test_accuracy {expected:.4g} ± "
    assert closing in output and "| data random vectors | seeds 1, 2" in output
    run_experiment(toy_task.toy, out=tmp_path, seeds=(2,))
    line = f"ours test_accuracy {first[1]['scores']['test_accuracy']:.4g} | data"
    assert line in capsys.readouterr().out  # one seed has no spread
    with open(results, newline="") as file:
        table = list(csv.DictReader(file))
    assert len(table) == 8  # two variants, two splits, accuracy and loss

    written = (folder / "checkpoint" / "state.npz").stat().st_mtime_ns
    assert run_experiment(toy_task.toy, **arguments) == scores
    output = capsys.readouterr().out
    assert output.count("already done: nothing to train or evaluate") == 4
    assert "epoch" not in output
    assert (folder / "checkpoint" / "state.npz").stat().st_mtime_ns == written
    with open(results, newline="") as file:
        assert list(csv.DictReader(file)) == table  # replaced, not repeated

    with pytest.raises(ValueError, match=r"(?s)own configuration.*trainer.learning_rate: 0.05"):
        run_experiment(toy_task.toy, overrides=["trainer.learning_rate=0.1"], **arguments)


def test_epochs_are_passes_and_patience_ends_them(toy_task, tmp_path):
    overrides = [
        "trainer.steps=none",
        "trainer.epochs=9",
        "trainer.steps_per_epoch=none",
        "trainer.patience=2",
        "trainer.learning_rate=1e-9",  # nothing gets better after the first epoch
        "trainer.schedule=linear",
        "task.stateful=no",
    ]
    trainer = build_trainer(toy_task.toy.run("default", 1, overrides), tmp_path)
    state = trainer.train()
    assert (state.epoch, state.best_epoch, state.step) == (3, 1, 21)
    assert state.finished


def test_evaluation_leaves_the_states(toy_task, tmp_path):
    trainer = build_trainer(toy_task.toy.run("default", 1), tmp_path)
    layer = next(x for x in trainer.model.layers if isinstance(x, toy_task.RunningMean))
    evaluate = trainer.task.evaluate

    def careless(model, split):
        layer.mean.assign([7.0, 7.0, 7.0])
        return evaluate(model, split)

    trainer.task.evaluate = careless
    trainer.evaluate("dev")
    np.testing.assert_array_equal(layer.mean, np.zeros(3))


def test_the_precision_reaches_the_model(toy_task, tmp_path, monkeypatch):
    build, seen = toy_task.Toy.build_model, []

    def spy(task):
        model = build(task)
        seen.extend(layer.compute_dtype for layer in model.layers if layer.weights)
        return model

    monkeypatch.setattr(toy_task.Toy, "build_model", spy)
    overrides = ["trainer.mixed_precision=mixed_bfloat16", "trainer.steps=1"]
    run_experiment(toy_task.toy, ("train",), overrides, tmp_path, variants=["default"])
    assert set(seen) == {"bfloat16"} and keras.config.dtype_policy().name == "float32"


def test_a_loss_that_is_not_finite_keeps_the_checkpoint(toy_task, tmp_path):
    run = toy_task.toy.run("default", 1, ["trainer.optimizer=sgd", "trainer.learning_rate=1e38"])
    with pytest.raises(FloatingPointError, match="must be finite.*at step 10. Lower `.*norm`.$"):
        build_trainer(run, tmp_path).train()
    assert not (tmp_path / "best.weights.h5").exists()
    tokens, progress = keras.Variable(0), Progress(None, visible=False)
    epochs = Epochs(
        run.trainer, TrainingState(epoch=1), progress, tokens.value, lambda scores: None
    )
    with pytest.raises(FloatingPointError, match="before is kept. Lower `.*, in another `out`.$"):
        epochs._end({"loss": float("nan")})


def test_no_data_and_no_training(toy_task, tmp_path):
    empty = toy_task.toy.run("default", 1, ["task.examples=0"])
    with pytest.raises(ValueError, match="`train_dataset` must yield at least one batch"):
        build_trainer(empty, tmp_path).train()
    with pytest.raises(FileNotFoundError, match="must be trained before"):
        run_experiment(toy_task.toy, steps=("evaluate",), out=tmp_path)


def test_names_that_do_not_exist(toy_task, tmp_path):
    with pytest.raises(ValueError, match="`steps` must be of.*did you mean `train`"):
        run_experiment(toy_task.toy, steps=("trian",), out=tmp_path)
    with pytest.raises(ValueError, match="`variant` must be one of default, wide"):
        run_experiment(toy_task.toy, variants=["wde"], out=tmp_path)
    with pytest.raises(ValueError, match="did you mean `adam`"):
        build_optimizer(TrainerConfig(steps=1, optimizer="adm"))
    with pytest.raises(ValueError, match="did you mean `linear`"):
        build_optimizer(TrainerConfig(steps=1, schedule="lineal"), 1)
    with pytest.raises(ValueError, match="`trainer.optimizer_options` must be arguments of sgd"):
        build_optimizer(TrainerConfig(steps=1, optimizer="sgd", optimizer_options={"beta_9": 1.0}))
    assert not any(tmp_path.iterdir())


def test_a_refused_configuration_leaves_its_folder_free(toy_task, tmp_path):
    arguments = {"out": tmp_path, "steps": ("train",), "variants": ["default"]}
    with pytest.raises(ValueError, match="did you mean `adam`"):
        run_experiment(toy_task.toy, overrides=["trainer.optimizer=adm"], **arguments)
    overrides = ["trainer.optimizer=adam", "trainer.steps=1"]
    run_experiment(toy_task.toy, overrides=overrides, **arguments)
    config = tmp_path / "toy" / "default" / "seed1" / "config.json"
    assert json.loads(config.read_text())["trainer"]["optimizer"] == "adam"
    with pytest.raises(ValueError, match="'adam' there, 'sgd' now"):
        run_experiment(
            toy_task.toy, overrides=["trainer.optimizer=sgd", *overrides[1:]], **arguments
        )


def test_a_monitor_that_is_no_score():
    best = BestWeights("best.weights.h5", ("f1", "max"))
    with pytest.raises(ValueError, match="`monitor` must be a score.*Received: monitor='f1'"):
        best.update(keras.Model(), TrainingState(), {"accuracy": 1.0})
    with pytest.raises(ValueError, match='must end in "max" or "min"'):
        BestWeights("best.weights.h5", ("f1", "up"))


def test_a_score_that_is_no_number(tmp_path):
    best = BestWeights(tmp_path / "best.weights.h5", ("f1", "max"), patience=2, writes=False)
    state, nan = TrainingState(), float("nan")
    found = []
    for score in (nan, nan, 0.5, nan, 0.6):
        state.epoch += 1
        found.append(best.update(keras.Model(), state, {"f1": score}))
    assert found == [True, False, True, False, True]
    assert (state.best, state.best_epoch) == (0.6, 5)


def test_accumulated_batches_are_one_large_batch():
    """Two batches, clipped and scheduled once an update, give the step of both together."""
    start, targets = np.array([1.0, -2.0], "float32"), np.array([3.0, 8.0], "float32")
    config = TrainerConfig(
        steps=4, optimizer="sgd", learning_rate=0.1, schedule="linear", gradient_clip_norm=1.0
    )
    weights = []
    for accumulation, batches in ((1, [targets, targets]), (2, [targets * 0.5, targets * 1.5] * 2)):
        optimizer = build_optimizer(
            TrainerConfig(**{**vars(config), "gradient_accumulation": accumulation}), 4
        )
        weight = keras.Variable(start)
        optimizer.build([weight])
        for gradient in batches:
            optimizer.apply([keras.ops.convert_to_tensor(gradient)], [weight])
        weights.append(weight.numpy())
    unit = targets / np.linalg.norm(targets)
    np.testing.assert_allclose(weights[0], start - (0.1 + 0.075) * unit, rtol=1e-5)
    np.testing.assert_allclose(weights[1], weights[0], rtol=1e-6)


def test_schedules():
    linear = WarmupLinearDecay(peak=2.0, warmup_steps=4, total_steps=8)
    rates = [float(linear(step)) for step in range(9)]
    assert rates == [0.5, 1.0, 1.5, 2.0, 2.0, 1.5, 1.0, 0.5, 0.0]
    root = InverseSquareRoot.from_config(InverseSquareRoot(2.0, 4).get_config())
    assert [float(root(step)) for step in (0, 3, 15, 63)] == [0.5, 2.0, 1.0, 0.5]
    with pytest.raises(ValueError, match="`total_steps` must be larger than `warmup_steps`"):
        WarmupLinearDecay(1.0, 5, 5)


def test_a_warm_up_that_is_longer_than_the_training():
    """The options of the optimizer are not to blame."""
    options = {"optimizer": "adamw", "optimizer_options": {"epsilon": 1e-6}, "schedule": "linear"}
    for length, given in (
        ({"steps": 4}, "steps=4, epochs=None"),
        ({"epochs": 2}, "steps=None, epochs=2"),
    ):
        config = TrainerConfig(**length, warmup_steps=60, **options)
        with pytest.raises(ValueError, match="`trainer.warmup_steps` must be fewer") as caught:
            build_optimizer(config, 4)
        assert f"Received: warmup_steps=60, {given}, which is 4 updates." in str(caught.value)
        assert "optimizer_options" not in str(caught.value)


@pytest.mark.parametrize("schedule", ["linear", "constant", "inverse_sqrt"])
def test_a_warm_up_that_is_a_share_of_the_steps(toy_task, tmp_path, schedule):
    overrides = [
        "trainer.steps=none",
        "trainer.epochs=3",
        "trainer.steps_per_epoch=none",
        "trainer.learning_rate=2",
        f"trainer.schedule={schedule}",
        "trainer.warmup_fraction=0.2",
    ]
    trainer = build_trainer(toy_task.toy.run("default", 1, overrides), tmp_path)
    trainer._compile(trainer._total_steps())  # 21 updates, of which 4 are the warm-up
    rate = trainer.model.optimizer._learning_rate
    assert [float(rate(step)) for step in range(5)] == [0.5, 1.0, 1.5, 2.0, rate(4)]
    assert (float(rate(6)) < 2.0) == (schedule != "constant")
    config = TrainerConfig(steps=1, warmup_fraction=0.2)
    with pytest.raises(ValueError, match="`total_updates` must be given.*warmup_fraction=0.2"):
        build_optimizer(config)
    with pytest.raises(ValueError, match="`trainer.warmup_steps` must be 0 where"):
        build_optimizer(TrainerConfig(steps=9, warmup_steps=2, warmup_fraction=0.2), 9)


def test_the_shorter_of_steps_and_epochs(toy_task, tmp_path, monkeypatch):
    """Where nothing but counting tells how long a pass is."""
    dataset = toy_task.Toy.train_dataset

    def unknown(task, pass_seed):
        return dataset(task, pass_seed).filter(lambda *batch: True)

    monkeypatch.setattr(toy_task.Toy, "train_dataset", unknown)
    trainer = build_trainer(toy_task.toy.run("default", 1), tmp_path)  # a pass is 7 batches
    for steps, epochs, more, expected in (
        (100, 2, {}, 14),
        (14, 2, {}, 14),
        (3, 2, {"schedule": "linear"}, 3),
        (3, None, {}, 3),
        (None, 2, {}, None),
        (None, 2, {"schedule": "linear"}, 14),
        (None, 2, {"warmup_fraction": 0.1}, 14),
        (None, 2, {"gradient_accumulation": 2}, 14),
        (100, 2, {"steps_per_epoch": 9}, 18),
    ):
        config = TrainerConfig(steps=steps, epochs=epochs)
        trainer.config = dataclasses.replace(config, **more)
        assert trainer._total_steps() == expected


def test_accumulation_that_never_ends(toy_task, tmp_path):
    overrides = ["trainer.steps=4", "trainer.gradient_accumulation=5"]
    trainer = build_trainer(toy_task.toy.run("default", 1, overrides), tmp_path)
    message = "must be at most the steps.*gradient_accumulation=5, steps=4, .*which is 4 steps"
    with pytest.raises(ValueError, match=message):
        trainer.train()


@pytest.mark.parametrize("direction, best", [("max", "wide"), ("min", "default")])
def test_the_best_variant_is_named(toy_task, tmp_path, monkeypatch, capsys, direction, best):
    def evaluate(task, model, split):
        del model
        return {"accuracy": task.config.units / (20 if split == "dev" else 40)}

    monkeypatch.setattr(toy_task.Toy, "evaluate", evaluate)
    monkeypatch.setattr(toy_task.Toy, "monitor", ("accuracy", direction))
    experiment = dataclasses.replace(toy_task.toy, choose_best=True)
    arguments = {"overrides": ["trainer.steps=1"], "out": tmp_path}
    run_experiment(experiment, ("train",), **arguments)
    assert "best of" not in capsys.readouterr().out
    run_experiment(experiment, **arguments)
    dev, test = (0.8, 0.4) if best == "wide" else (0.2, 0.1)
    assert capsys.readouterr().out.splitlines()[-1] == (
        f"toy: best of 2 variants by dev_accuracy: {best} | "
        f"dev_accuracy {dev} | test_accuracy {test}"
    )
    run_experiment(toy_task.toy, **arguments)  # the same runs, of an experiment that compares
    assert "best of" not in capsys.readouterr().out


def test_a_checkpoint_of_another_model(toy_task, tmp_path):
    build_trainer(toy_task.toy.run("default", 1, ["trainer.steps=10"]), tmp_path).train()
    backup = tmp_path / "checkpoint" / "state.npz"
    with np.load(backup) as file:
        arrays = dict(file)
    state = json.loads(str(arrays["state"]))
    arrays["state"] = np.array(json.dumps({**state, "finished": False}))
    np.savez(backup, **arrays)
    with pytest.raises(ValueError, match=r"(?s)only in the model: .*\(3, 16\).*\(3, 4\)"):
        build_trainer(toy_task.toy.run("wide", 1), tmp_path).train()
