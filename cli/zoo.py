"""Commands around the models: presets and published checkpoints."""

from __future__ import annotations

from pathlib import Path

import click

from .base import cli, print_table

_path = click.Path(path_type=Path)


@cli.command(examples=("polysemy presets", "polysemy presets 'elmo_*'"))
@click.argument("pattern", default="*")
def presets(pattern: str) -> None:
    """List the presets. Those whose name matches PATTERN."""
    from ..zoo.preset import get_preset, list_presets

    found = [get_preset(name) for name in list_presets(pattern)]
    rows = [(each.name, each.description, f"{each.parameters:,}") for each in found]
    print_table(("preset", "description", "parameters"), rows, f"No preset matches {pattern!r}.")


@cli.group()
def convert() -> None:
    """Turn published checkpoints into presets."""


@convert.command("elmo", examples=("polysemy convert elmo options.json weights.hdf5 elmo_dir",))
@click.argument("options", type=_path)
@click.argument("weights", type=_path)
@click.argument("out", type=_path)
def convert_elmo(options: Path, weights: Path, out: Path) -> None:
    """Read AllenNLP's ELMo files. OPTIONS (JSON), WEIGHTS (HDF5); OUT is the preset's folder."""
    from .. import zoo

    zoo.Elmo.from_checkpoint(options, weights).save_to_preset(out)
    click.echo(out)
