"""The command `polysemy`: parses and calls, nothing else. `main` is what the console script runs.

Every part of Polysemy is imported inside the command that needs it, so that help and completion
answer without waiting for TensorFlow.
"""

from __future__ import annotations

import difflib
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
from click.shell_completion import BashComplete, CompletionItem, FishComplete, ZshComplete

from . import __version__

EXTRAS = {  # an extra and the third-party modules that it brings
    "serving": ("aiohttp", "grpc", "tensorflow_hub", "tensorflow_serving", "tf_keras"),
    "recipes": ("matplotlib", "seqeval", "tensorboard"),
}
CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 100}
COMPLETIONS = {"bash": BashComplete, "zsh": ZshComplete, "fish": FishComplete}
STEPS = ("train", "evaluate", "export")


def _set_debug(ctx: click.Context, _: click.Parameter, value: bool) -> None:
    if value:
        ctx.ensure_object(dict)["debug"] = True


_debug_option = click.option(
    "--debug",
    is_flag=True,
    expose_value=False,
    callback=_set_debug,
    is_eager=True,
    help="Show the traceback of an error.",
)


class Command(click.Command):
    """A command with `--debug`, whose help ends with its examples as they were written."""

    def __init__(self, *args: Any, examples: Sequence[str] = (), **kwargs: Any):
        super().__init__(*args, **kwargs)
        self.examples = examples
        _debug_option(
            self
        )  # of every command, so that it is understood before and after the command's name

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        if self.examples:
            with formatter.section("Examples"):
                for example in self.examples:
                    formatter.write(f"  {example}\n")


class Group(click.Group):
    """A group of `Command`s that answers an unknown name with the nearest one."""

    command_class = Command

    def resolve_command(self, ctx: click.Context, args: list[str]):
        name = args[0]
        if self.get_command(ctx, name) is None and not name.startswith("-"):
            near = difflib.get_close_matches(name, self.list_commands(ctx), n=1, cutoff=0.5)
            hint = f"; did you mean `{near[0]}`?" if near else "; see `polysemy --help`."
            raise click.UsageError(f"Unknown command `{name}`{hint}", ctx)
        return super().resolve_command(ctx, args)


Group.group_class = Group


def _complete_experiments(_ctx: Any, _param: Any, incomplete: str) -> list[CompletionItem]:
    folder = Path(__file__).parent / "recipes" / "experiments"  # an import would take seconds
    names = sorted(path.stem for path in folder.glob("[!_]*.py"))
    return [CompletionItem(name) for name in names if name.startswith(incomplete)]


_experiment_argument = click.argument("name", shell_complete=_complete_experiments)
_overrides_option = click.option(
    "--set",
    "overrides",
    multiple=True,
    metavar="KEY=VALUE",
    help="Override one value of the configuration, such as trainer.steps=100. Repeatable.",
)
_path = click.Path(path_type=Path)


@click.group(cls=Group, context_settings=CONTEXT)
@click.version_option(__version__, prog_name="polysemy")
@_debug_option
def cli() -> None:
    """Contextual word representations for TensorFlow and Keras 3: trained, exported, served.

    `polysemy COMMAND --help` says more, with examples.
    """


@cli.command(
    examples=(
        "polysemy run elmo_ner_wnut17 train evaluate export --set data.root=/corpora",
        "polysemy run elmo_ner_wnut17 train --set trainer.steps=100 --seed 1 --out /tmp/try",
    )
)
@_experiment_argument
@click.argument("steps", nargs=-1, required=True, type=click.Choice(STEPS))
@_overrides_option
@click.option("--out", type=_path, default="runs", show_default=True, help="Folder of the runs.")
@click.option("--seed", type=int, multiple=True, help="Only this seed. Repeatable.")
@click.option("--variant", multiple=True, help="Only this row of the grid. Repeatable.")
@click.option("--results", type=_path, help="CSV file to which the scores are added.")
def run(name, steps, overrides, out, seed, variant, results) -> None:
    """Train, evaluate and/or export an experiment.

    NAME is one of `polysemy recipes`. The same command after a kill goes on where the run was.
    """
    from .recipes.experiments import get
    from .recipes.run import run_experiment

    run_experiment(get(name), steps, overrides, out, seed or None, variant or None, results)


@cli.command(examples=("polysemy show-config elmo_ner_wnut17 --set trainer.steps=100",))
@_experiment_argument
@_overrides_option
def show_config(name: str, overrides: tuple[str, ...]) -> None:
    """Print the configuration of an experiment. As JSON; NAME with its overrides applied."""
    from .recipes.config import apply_overrides, to_dict
    from .recipes.experiments import get

    resolved = apply_overrides(get(name), overrides)
    click.echo(json.dumps(to_dict(resolved), indent=2, ensure_ascii=False))


@cli.command(examples=("polysemy recipes", "polysemy recipes 'elmo_ner_*'"))
@click.argument("pattern", default="*")
def recipes(pattern: str) -> None:
    """List the experiments. Those that match PATTERN, with the scores to expect."""
    from .recipes.experiments import get, list_experiments

    found = [get(name) for name in list_experiments(pattern)]
    rows = [(each.name, each.description, each.paper, each.expected) for each in found]
    columns = ("experiment", "what", "paper", "expected here")
    _print_table(columns, rows, f"No experiment matches {pattern!r}.")


@cli.command(examples=("polysemy presets", "polysemy presets 'elmo_*'"))
@click.argument("pattern", default="*")
def presets(pattern: str) -> None:
    """List the presets. Those whose name matches PATTERN."""
    from .zoo.preset import get_preset, list_presets

    found = [get_preset(name) for name in list_presets(pattern)]
    rows = [(each.name, each.description, f"{each.parameters:,}") for each in found]
    _print_table(("preset", "description", "parameters"), rows, f"No preset matches {pattern!r}.")


@cli.command(examples=("polysemy export runs/elmo_ner_wnut17/mix/seed1 /models/ner",))
@click.argument("run_directory", metavar="RUN", type=_path)
@click.argument("directory", metavar="DIR", type=_path)
def export(run_directory: Path, directory: Path) -> None:
    """Export the model of a trained run. RUN's model becomes the next version in DIR."""
    from .recipes.config import read_config
    from .recipes.experiments import get
    from .recipes.run import build_trainer
    from .serving import export as export_model

    path = run_directory / "config.json"
    name = json.loads(path.read_text(encoding="utf-8"))["name"]
    trainer = build_trainer(read_config(path, get(name)), run_directory)
    trainer.load_best()
    click.echo(export_model(trainer.task.export_model(trainer.model), directory))


@cli.command(
    examples=(
        "polysemy serve /models/ner --port 8500",
        "polysemy serve /models/ner --engine tensorflow_model_server",
    )
)
@click.argument("directory", metavar="[DIR]", required=False, type=_path)
@click.option("--port", default=8500, show_default=True, help="Of gRPC; 0: a free one.")
@click.option("--rest_api_port", default=8501, show_default=True, help="Of REST; 0: a free one.")
@click.option("--model_name", help="Name that clients ask for. [the name of DIR]")
@click.option("--model_base_path", type=_path, help="DIR, as TensorFlow Serving calls it.")
@click.option(
    "--engine",
    type=click.Choice(["polysemy", "tensorflow_model_server"]),
    default="polysemy",
    show_default=True,
    help="The server: Polysemy's own, or TensorFlow Serving's if it is installed.",
)
def serve(directory, port, rest_api_port, model_name, model_base_path, engine) -> None:
    """Serve exported models. DIR's newest version, over gRPC and REST, until Ctrl-C.

    DIR holds one model's versions, or one folder for each model.
    """
    from .serving.server import serve_forever

    serve_forever(directory, port, rest_api_port, model_name, model_base_path, engine)


@cli.command(examples=('polysemy predict localhost:8500 ner "Ada lives in London ."',))
@click.argument("address", metavar="HOST:PORT")
@click.argument("model")
@click.argument("text", nargs=-1, required=True)
@click.option("--signature", default="serving_default", show_default=True)
def predict(address: str, model: str, text: tuple[str, ...], signature: str) -> None:
    """Ask a running server. MODEL's outputs for each TEXT, by one gRPC request, as JSON."""
    from .serving.client import Client

    with Client(address) as client:
        outputs = client.predict(model, {"sentences": list(text)}, signature=signature)
    click.echo(json.dumps({name: _plain(value) for name, value in outputs.items()}))


@cli.group()
def convert() -> None:
    """Turn published checkpoints into presets."""


@convert.command("elmo", examples=("polysemy convert elmo options.json weights.hdf5 elmo_dir",))
@click.argument("options", type=_path)
@click.argument("weights", type=_path)
@click.argument("out", type=_path)
def convert_elmo(options: Path, weights: Path, out: Path) -> None:
    """Read AllenNLP's ELMo files. OPTIONS (JSON), WEIGHTS (HDF5); OUT is the preset's folder."""
    from . import zoo

    zoo.Elmo.from_checkpoint(options, weights).save_to_preset(out)
    click.echo(out)


@cli.command(examples=("polysemy demo", "polysemy demo --out /tmp/demo"))
@click.option("--out", type=_path, default="runs/demo", show_default=True)
def demo(out: Path) -> None:
    """Show the main job on a sample. Tunes a biLM, trains taggers, exports, serves, asks."""
    from .recipes import demo as recipe

    recipe.main(out)


@cli.command(
    examples=(
        'eval "$(polysemy completion bash)"',
        "polysemy completion fish > ~/.config/fish/completions/polysemy.fish",
    )
)
@click.argument("shell", type=click.Choice(list(COMPLETIONS)))
def completion(shell: str) -> None:
    """Print a completion script. For polysemy's commands, options and experiments."""
    click.echo(COMPLETIONS[shell](cli, {}, "polysemy", "_POLYSEMY_COMPLETE").source())


def _print_table(columns: Sequence[str], rows: Sequence[Sequence[str]], otherwise: str) -> None:
    from rich.console import Console
    from rich.table import Table

    if not rows:
        raise ValueError(otherwise)
    table = Table(*columns, box=None, header_style="bold", pad_edge=False)
    table.columns[0].no_wrap = True
    for row in rows:
        table.add_row(*row)
    Console().print(table)


def _plain(value: Any) -> Any:
    """Turns an output tensor into what JSON can hold: nested lists, bytes as text."""
    if isinstance(value, bytes):
        return value.decode("utf-8", errors="replace")
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return _plain(value.tolist()) if hasattr(value, "tolist") else value


def shown_errors() -> tuple[type[BaseException], ...]:
    """Lists the errors that the user can act on: shown as one line, without their traceback."""
    kinds: list[type[BaseException]] = [ValueError, LookupError, OSError, RuntimeError, ImportError]
    if "tensorflow" in sys.modules:  # else it cannot have been raised
        kinds.append(sys.modules["tensorflow"].errors.OpError)
    if "grpc" in sys.modules:
        kinds.append(sys.modules["grpc"].RpcError)
    return tuple(kinds)


def one_line(error: BaseException) -> str:
    """Says what went wrong in one line.

    Example:
    >>> from polysemy.cli import one_line
    >>> one_line(KeyError("no such\\n  name"))
    'no such name'
    >>> one_line(ModuleNotFoundError("No module named 'grpc'", name="grpc"))
    "No module named 'grpc'; `pip install 'polysemy[serving]'` brings it."
    """
    text = str(error)
    if isinstance(error, KeyError) and len(error.args) == 1:
        text = str(error.args[0])  # str() would put quotes around the sentence
    code, details = getattr(error, "code", None), getattr(error, "details", None)
    if callable(code) and callable(details):  # a failed gRPC call
        text = f"{getattr(code(), 'name', code())}: {details()}"
    if isinstance(error, ImportError):
        for extra, modules in EXTRAS.items():
            if (error.name or "").split(".")[0] in modules:
                text = f"{text}; `pip install 'polysemy[{extra}]'` brings it."
    return " ".join(text.split()) or type(error).__name__


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command line. Returns the exit code: 0, 1 after an error, 130 after an interrupt."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # TensorFlow's start-up notes are not ours
    state: dict[str, bool] = {}
    try:
        cli.main(args=arguments, prog_name="polysemy", obj=state, standalone_mode=False)
    except (click.Abort, KeyboardInterrupt):
        return 130
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        return 1
    except click.ClickException as error:
        click.echo(f"Error: {' '.join(error.format_message().split())}", err=True)
        return 1
    except shown_errors() as error:
        if state.get("debug"):
            raise
        click.echo(f"Error: {one_line(error)}", err=True)
        return 1
    return 0
