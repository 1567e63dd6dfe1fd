"""Commands that train, list and export."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click
from click.shell_completion import CompletionItem

from .base import cli, print_table

STEPS = ("train", "evaluate", "export")


def complete_experiments(_ctx: Any, _param: Any, incomplete: str) -> list[CompletionItem]:
    folder = Path(__file__).parents[1] / "recipes" / "experiments"  # an import would take seconds
    names = sorted(path.stem for path in folder.glob("[!_]*.py"))
    return [CompletionItem(name) for name in names if name.startswith(incomplete)]


_experiment_argument = click.argument("name", shell_complete=complete_experiments)
_overrides_option = click.option(
    "--set",
    "overrides",
    multiple=True,
    metavar="KEY=VALUE",
    help="Override one value of the configuration, such as trainer.steps=100. Repeatable.",
)
_path = click.Path(path_type=Path)


@cli.command(
    examples=(
        "polysemy run elmo_ner_wnut17 train evaluate export --set data.root=/corpora",
        "polysemy run elmo_ner_wnut17 train --set trainer.steps=100 --seed 1 --out /tmp/try",
        "polysemy run my_ner.py train evaluate --set data.root=my_data",
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

    NAME is one of `polysemy recipes`, or the path of your own experiment, a .py file. The same
    command after a kill goes on where the run was.
    Without --variant, those whose preset has not been made in --out yet are skipped, with a line
    that says how to make it.
    """
    from ..recipes.experiments import get
    from ..recipes.run import run_experiment

    run_experiment(get(name), steps, overrides, out, seed or None, variant or None, results)


@cli.command(examples=("polysemy show-config elmo_ner_wnut17 --set trainer.steps=100",))
@_experiment_argument
@_overrides_option
def show_config(name: str, overrides: tuple[str, ...]) -> None:
    """Print the configuration of an experiment. As JSON; NAME, or a .py file, with its overrides
    applied.
    """
    from ..recipes.config import to_dict
    from ..recipes.experiments import get
    from ..recipes.run_settings import override

    resolved = override(get(name), overrides)
    click.echo(json.dumps(to_dict(resolved), indent=2, ensure_ascii=False))


@cli.command(examples=("polysemy recipes", "polysemy recipes 'elmo_ner_*'"))
@click.argument("pattern", default="*")
def recipes(pattern: str) -> None:
    """List the experiments. Those that match PATTERN, with the scores to expect."""
    from ..recipes.experiments import get, list_experiments
    from ..recipes.results import measured

    found = [get(name) for name in list_experiments(pattern)]
    here = [measured(each.name, each.data.name, each.variants) or each.expected for each in found]
    rows = [
        (each.name, each.description, each.paper, scores)
        for each, scores in zip(found, here, strict=True)
    ]
    columns = ("experiment", "what", "paper", "expected here")
    print_table(columns, rows, f"No experiment matches {pattern!r}.")


@cli.command(
    "layer-weights",
    examples=("polysemy layer-weights elmo_pos_ewt elmo_ner_wnut17 --to weights.png",),
)
@click.argument("names", nargs=-1, required=True, shell_complete=complete_experiments)
@click.option("--variant", default="mix_l2_0.001", show_default=True)
@click.option("--out", type=_path, default="runs", show_default=True, help="Folder of the runs.")
@click.option("--to", "path", type=_path, required=True, help="The PNG.")
def layer_weights(names, variant, out, path) -> None:
    """Draw which layers of a language model taggers have mixed. A group of bars for each of NAMES,
    experiments whose variant has been evaluated.
    """
    from ..recipes import plots

    weights = {name: plots.read_layer_weights(out, name, variant) for name in names}
    click.echo(plots.layer_weights(weights, path))


@cli.command(
    examples=(
        "polysemy export runs/elmo_ner_wnut17/top/seed1 /models/ner",
        "polysemy export runs/my_ner/default/seed1 /models/my_ner --experiment my_ner.py",
    )
)
@click.argument("run_directory", metavar="RUN", type=_path)
@click.argument("directory", metavar="DIR", type=_path)
@_overrides_option
@click.option("--experiment", metavar="FILE", help="RUN's experiment, where it is your own.")
def export(run_directory, directory, overrides, experiment) -> None:
    """Export the model of a trained run. RUN's model becomes the next version in DIR.

    Where the data have moved, `--set data.root=FOLDER` says so.
    """
    from ..recipes.run import export_run

    click.echo(export_run(run_directory, directory, overrides, experiment))


@cli.command(examples=("polysemy demo", "polysemy demo --out /tmp/demo"))
@click.option("--out", type=_path, default="runs/demo", show_default=True)
def demo(out: Path) -> None:
    """Show the main job on a sample. Tunes a biLM, trains taggers, exports, serves, asks."""
    from ..recipes import demo as recipe

    recipe.main(out)


@cli.command(
    examples=(
        'polysemy attention minilm_l6_en "The animal slept because it was tired." --out it.html',
        'polysemy attention bert_base "A cat." "An animal." --layer 5 --head 2 --out pair.png',
    )
)
@click.argument("model")
@click.argument("text")
@click.argument("pair", required=False)
@click.option("--layer", type=int, help="Counted from 1; by default the last one.")
@click.option("--head", type=int, help="Counted from 1; by default all of the layer.")
@click.option(
    "--out",
    "paths",
    type=_path,
    multiple=True,
    metavar="FILE",
    help="A .png, .html or .json to write. Repeatable.",
)
def attention(model, text, pair, layer, head, paths) -> None:
    """Show who attends to whom. In MODEL, a preset or folder, that reads TEXT, or TEXT and PAIR.

    Without a file to write, each token is printed with those that it attends to most.
    """
    from rich.markup import escape

    from ..recipes.attention_view import attention_view, load_with_attention

    view = attention_view(load_with_attention(model), text, pair)
    for path in paths:
        click.echo(view.save(path, layer, head))
    if not paths:
        rows = [
            (escape(token), *(f"{escape(other)} {100 * p:.0f} %" for other, p in best))
            for token, best in view.strongest(layer, head)
        ]
        print_table(("token", "attends to", "", ""), rows, "No token.")
