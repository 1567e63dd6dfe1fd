"""The command line: what it parses, whom it calls, how it says that something went wrong."""

import io
import json
import subprocess
import sys
from pathlib import Path

import click
import numpy as np
import pytest

from polysemy import cli
from polysemy.recipes.config import Experiment, TaskConfig, TrainerConfig

TOY = Experiment(
    "toy_task", TaskConfig(), TrainerConfig(steps=10), expected="some day", description="A toy."
)
FAILING = ["show-config", "x"]  # with the fixture `fail`


def commands(group: click.Group, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """Lists every command as the words that call it."""
    found = []
    for name, command in group.commands.items():
        found.append((*path, name))
        if isinstance(command, click.Group):
            found += commands(command, (*path, name))
    return found


@pytest.fixture
def toy(monkeypatch):
    """Replaces the experiments by one."""
    monkeypatch.setattr("polysemy.recipes.experiments.get", lambda name: TOY)
    monkeypatch.setattr("polysemy.recipes.experiments.list_experiments", lambda pattern: [TOY.name])


@pytest.fixture
def fail(monkeypatch):
    """Makes `polysemy show-config x` raise what it is given."""

    def raising(error):
        def get(name):
            raise error

        monkeypatch.setattr("polysemy.recipes.experiments.get", get)

    return raising


@pytest.mark.parametrize("words", commands(cli.cli), ids=" ".join)
def test_help_has_examples_that_parse(words, capsys):
    assert cli.main([*words, "--help"]) == 0
    assert "Usage: polysemy " + " ".join(words) in capsys.readouterr().out
    command: click.Command = cli.cli
    for word in words:
        assert isinstance(command, click.Group)
        command = command.commands[word]
    if isinstance(command, click.Group):
        return
    assert isinstance(command, cli.Command) and command.examples
    assert all("polysemy " + " ".join(words) in example for example in command.examples)


def test_without_arguments_the_help_is_shown(capsys):
    assert cli.main([]) == 1
    assert "Commands:\n" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["serv", "x"], "Unknown command `serv`; did you mean `serve`?"),
        (["qqq"], "Unknown command `qqq`; see `polysemy --help`."),
        (["convert", "elm"], "Unknown command `elm`; did you mean `elmo`?"),
        (["demo", "--ot", "x"], "No such option '--ot'. Did you mean '--out'?"),
        (["run", "toy", "trian"], "'trian' is not one of 'train', 'evaluate', 'export'."),
        (["run"], "Missing argument 'NAME'."),
        (["run", "no_such_experiment", "train"], "Received: experiment='no_such_experiment'."),
        (["recipes", "no_such_*"], "No experiment matches 'no_such_*'."),
        (["presets", "no_such_*"], "No preset matches 'no_such_*'."),
        (["serve"], "`directory`, `model_base_path` or `model_config_file` must be given."),
        (["serve", "--model_config_file=/no/such"], "`/no/such` must be a readable text file."),
        (["serve", "x", "--port", "one"], "`--port` must be an integer. Received: --port=one"),
        (["export", "/no/such/run", "out"], "'/no/such/run/config.json'"),
    ],
)
def test_error_is_one_line(arguments, message, capsys):
    assert cli.main(arguments) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("Error: ") and captured.err.count("\n") == 1
    assert message in captured.err


@pytest.mark.parametrize(
    "error, line",
    [
        (ValueError("`a` must be 1.\n  Received: a=2"), "Error: `a` must be 1. Received: a=2\n"),
        (KeyError("no `b`"), "Error: no `b`\n"),
        (RuntimeError(), "Error: RuntimeError\n"),
    ],
)
def test_failure_of_a_command_is_one_line(error, line, fail, capsys):
    fail(error)
    assert cli.main(FAILING) == 1
    assert capsys.readouterr().err == line


def test_missing_module_names_the_extra(fail, capsys):
    fail(ModuleNotFoundError("No module named 'grpc'", name="grpc"))
    assert cli.main(FAILING) == 1
    assert "'grpc'; `pip install 'polysemy[serving]'` brings it." in capsys.readouterr().err


def test_grpc_error_says_code_and_details(fail, capsys):
    grpc = pytest.importorskip("grpc")

    class Failed(grpc.RpcError):
        def code(self):
            return grpc.StatusCode.UNAVAILABLE

        def details(self):
            return "nobody listens"

    fail(Failed())
    assert cli.main(FAILING) == 1
    assert capsys.readouterr().err == "Error: UNAVAILABLE: nobody listens\n"


def test_error_of_tensorflow_is_one_line(fail, capsys):
    tf = pytest.importorskip("tensorflow")
    fail(tf.errors.NotFoundError(None, None, "no such file"))
    assert cli.main(FAILING) == 1
    assert capsys.readouterr().err == "Error: no such file\n"


@pytest.mark.parametrize("arguments", [["--debug", *FAILING], [*FAILING, "--debug"]])
def test_debug_shows_the_traceback(arguments, fail):
    fail(ValueError("here"))
    with pytest.raises(ValueError, match="here"):
        cli.main(arguments)


def test_mistake_of_the_program_is_not_hidden(fail):
    fail(AssertionError("a bug"))
    with pytest.raises(AssertionError, match="a bug"):
        cli.main(FAILING)


def test_interrupt_ends_quietly(fail, capsys):
    fail(KeyboardInterrupt())
    assert cli.main(FAILING) == 130
    assert "Traceback" not in capsys.readouterr().err


def test_run_passes_on_what_it_parsed(toy, monkeypatch):
    calls = []
    monkeypatch.setattr("polysemy.recipes.run.run_experiment", lambda *given: calls.append(given))
    words = "run toy_task train export --set a.b=c --set d=1 --seed 3 --variant mix --out there"
    assert cli.main(words.split()) == 0
    assert cli.main(["run", "toy_task", "train"]) == 0
    steps = ("train", "export")
    assert calls == [
        (TOY, steps, ("a.b=c", "d=1"), Path("there"), (3,), ("mix",), None),
        (TOY, ("train",), (), Path("runs"), None, None, None),
    ]


def test_a_character_that_the_terminal_lacks_ends_no_run(toy, monkeypatch):
    monkeypatch.setattr("polysemy.recipes.run.run_experiment", lambda *given: print("12 ± 3"))
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", stream)
    assert cli.main(["run", "toy_task", "train"]) == 0
    stream.seek(0)
    assert stream.read() == "12 ? 3\n"


def test_show_config_prints_the_overridden_tree(toy, capsys):
    assert cli.main(["show-config", "toy_task", "--set", "trainer.steps=7"]) == 0
    assert json.loads(capsys.readouterr().out)["trainer"]["steps"] == 7


def test_layer_weights_are_drawn(tmp_path, capsys):
    for seed, weights in enumerate(([0.2, 0.8], [0.4, 0.6])):
        folder = tmp_path / "runs" / "toy" / "mix" / f"seed{seed}"
        folder.mkdir(parents=True)
        result = {"details": {"layer_weights": {"input": weights}}}
        (folder / "result.json").write_text(json.dumps(result))
    words = ["layer-weights", "toy", "--out", str(tmp_path / "runs"), "--variant"]
    assert cli.main([*words, "mix", "--to", str(tmp_path / "a.png")]) == 0
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
    assert cli.main([*words, "none", "--to", str(tmp_path / "b.png")]) == 1
    assert "must hold an evaluated run of toy none" in capsys.readouterr().err


def test_recipes_are_listed(toy, capsys, monkeypatch):
    given = []
    monkeypatch.setattr("polysemy.recipes.results.measured", lambda *what: given.append(what) or "")
    assert cli.main(["recipes"]) == 0
    out = capsys.readouterr().out
    assert "toy_task" in out and "A toy." in out and "some day" in out
    assert given == [("toy_task", "", TOY.variants)]
    monkeypatch.setattr("polysemy.recipes.results.measured", lambda *what: "0.75, measured")
    assert cli.main(["recipes"]) == 0
    out = capsys.readouterr().out
    assert "0.75, measured" in out and "some day" not in out


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_prints_a_script(shell, capsys):
    assert cli.main(["completion", shell]) == 0
    assert "_POLYSEMY_COMPLETE" in capsys.readouterr().out


def test_completion_knows_every_experiment():
    from polysemy.recipes.experiments import list_experiments

    found = [item.value for item in cli.recipes.complete_experiments(None, None, "")]
    assert found == list_experiments("*")


def test_outputs_become_json():
    outputs = {
        "tags": np.array([[b"B-LOC", "Ü".encode()]], object),
        "p": np.ones((1, 2), "float32"),
    }
    plain = {name: cli.serving.plain(value) for name, value in outputs.items()}
    assert json.loads(json.dumps(plain)) == {"tags": [["B-LOC", "Ü"]], "p": [[1.0, 1.0]]}


def test_console_script_ends_with_the_exit_code():
    script = Path(sys.executable).with_name("polysemy")
    done = subprocess.run([script, "serv"], capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr == "Error: Unknown command `serv`; did you mean `serve`?\n"


def test_closed_pipe_is_silent():
    script = Path(sys.executable).with_name("polysemy")
    code = f"'{script}' completion bash | true"
    done = subprocess.run(["bash", "-c", code], capture_output=True, text=True)
    assert done.stderr == ""


def test_archive_and_deploy_write_files(tmp_path, capsys):
    import tensorflow as tf

    tf.saved_model.save(tf.Module(), str(tmp_path / "empty" / "1"))
    packed = tmp_path / "empty.tar.gz"
    assert cli.main(["archive", str(tmp_path / "empty" / "1"), str(packed)]) == 0
    assert capsys.readouterr().out == f"{packed}\n" and packed.stat().st_size > 100
    arguments = ["deploy", str(tmp_path / "empty"), "--to", "compose", "--out", str(tmp_path / "o")]
    assert cli.main(arguments) == 0
    written = [Path(line).name for line in capsys.readouterr().out.splitlines()]
    assert "compose.yaml" in written and "models.config" in written
    assert cli.main([*arguments, "--cpus", "4"]) == 1
    err = capsys.readouterr().err
    assert err.startswith("Error: `overwrite` must be True") and err.count("\n") == 1
    assert cli.main(["archive", str(tmp_path), str(packed)]) == 1
    assert "`version_dir` must be the folder of one version" in capsys.readouterr().err


def test_serve_passes_on_what_it_parsed(monkeypatch, caplog, capsys):
    calls = []
    monkeypatch.setattr(
        "polysemy.serving.server.serve_forever", lambda **given: calls.append(given)
    )
    assert cli.main(["serve", "models", "--port", "0", "--model_name=ner"]) == 0
    assert cli.main(["serve", "--model_base_path=/m", "--enable_batching", "--prt=1"]) == 0
    assert [call["engine"] for call in calls] == ["polysemy", "polysemy"]
    first, second = (call["options"] for call in calls)
    assert (first.directory, first.port, first.rest_api_port) == ("models", 0, 8501)
    assert first.model_name == "ner" and first.free_ports
    assert (second.model_base_path, second.port, second.rest_api_port) == ("/m", 8500, 0)
    assert second.model_name == "default" and second.enable_batching and not second.free_ports
    assert "unknown argument, ignored: --prt=1; did you mean --port?" in caplog.text
    assert cli.main(["serve", "--version"]) == 0 and len(calls) == 2
    assert capsys.readouterr().out.startswith("TensorFlow ModelServer: 2.")


def test_help_of_serve_lists_the_flags(capsys):
    assert cli.main(["serve", "--help"]) == 0
    shown = capsys.readouterr().out
    assert "--model_config_file_poll_wait_seconds=0" in shown and "--access_log=" in shown


def test_export_passes_on_what_it_parsed(monkeypatch, capsys):
    calls = []
    monkeypatch.setattr(
        "polysemy.recipes.run.export_run", lambda *given: calls.append(given) or "there/1"
    )
    assert cli.main(["export", "runs/toy", "there"]) == 0
    words = "export runs/toy there --set data.root=D --experiment toy.py"
    assert cli.main(words.split()) == 0
    paths = (Path("runs/toy"), Path("there"))
    assert calls == [(*paths, (), None), (*paths, ("data.root=D",), "toy.py")]
    assert capsys.readouterr().out == "there/1\n" * 2
