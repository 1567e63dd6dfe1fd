"""Commands around the models: presets and published checkpoints."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from .base import cli, print_table

_path = click.Path(path_type=Path)
_target_option = click.option(
    "--to",
    "target",
    type=click.Choice(["preset", "huggingface"]),
    default="preset",
    show_default=True,
    help="Format of OUT.",
)
_pickle_option = click.option(
    "--allow-pickle", is_flag=True, help="Read pytorch_model.bin if there is no safetensors file."
)


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


@convert.command(
    "bert",
    examples=(
        "polysemy convert bert uncased_L-12_H-768_A-12 bert_base",
        "polysemy convert bert bert-base-uncased bert_base --allow-pickle",
        "polysemy convert bert bert_base bert_base_hf --to huggingface",
    ),
)
@click.argument("checkpoint", type=_path)
@click.argument("out", type=_path)
@_target_option
@_pickle_option
def convert_bert(checkpoint: Path, out: Path, target: str, allow_pickle: bool) -> None:
    """Read a BERT of Google, Hugging Face, Model Garden or a preset. CHECKPOINT; OUT (folders)."""
    from .. import zoo

    _convert(zoo.Bert, checkpoint, out, target, allow_pickle)


def _is_preset(folder: Path) -> bool:
    """Whether a folder, or a name, is a preset: Hugging Face's folders have a config.json, too."""
    import json

    from ..zoo.preset import list_presets

    path = folder / "config.json"
    if not path.is_file():
        return str(folder) in list_presets()
    return "class_name" in json.loads(path.read_text(encoding="utf-8"))


@convert.command(
    "gpt2",
    examples=(
        "polysemy convert gpt2 models/124M gpt2_dir",
        "polysemy convert gpt2 gpt2_dir gpt2_hf --to huggingface",
    ),
)
@click.argument("checkpoint", type=_path)
@click.argument("out", type=_path)
@_target_option
@_pickle_option
def convert_gpt2(checkpoint: Path, out: Path, target: str, allow_pickle: bool) -> None:
    """Read a GPT-2 of OpenAI, Hugging Face or a preset. CHECKPOINT; OUT (folders)."""
    from .. import zoo

    _convert(zoo.GPT2CausalLM, checkpoint, out, target, allow_pickle)


def _convert(cls: Any, checkpoint: Path, out: Path, target: str, allow_pickle: bool) -> None:
    """Reads a model of a class, a checkpoint or a preset, and writes it as `target` says."""
    model = (
        cls.from_preset(checkpoint)
        if _is_preset(checkpoint)
        else cls.from_checkpoint(checkpoint, allow_pickle=allow_pickle)
    )
    if target == "huggingface":
        model.save_as_huggingface(out)
    else:
        model.save_to_preset(out)
    click.echo(out)


@cli.command(
    examples=(
        'polysemy generate gpt2_dir "The river bank"',
        'polysemy generate gpt2_dir "The river" "A bank" --temperature 0.8 --top-k 40 --seed 1',
        'polysemy generate gpt2_dir "The river bank" --num-beams 4 --length-penalty 0.6',
        'polysemy generate gpt2_dir "The river bank" --stop Ċ --stop .',
    )
)
@click.argument("preset")
@click.argument("prompts", nargs=-1, required=True, metavar="PROMPT...")
@click.option("--max-length", default=64, show_default=True, help="Most tokens to add.")
@click.option("--min-length", default=0, help="No end before so many.")
@click.option("--temperature", default=0.0, help="0 takes the best token each time.")
@click.option("--top-k", default=0, help="Draw from the k best; 0: from all.")
@click.option("--top-p", default=1.0, help="Draw from the best that make up this probability.")
@click.option("--num-beams", default=1, help="From 2 on a beam search.")
@click.option("--length-penalty", default=0.0, help="Alpha of GNMT, of a beam search.")
@click.option("--repetition-penalty", default=1.0, help="More than 1 lowers what was there.")
@click.option("--no-repeat-ngram", default=0, help="No sequence of so many tokens twice.")
@click.option("--seed", default=0, help="Of the first prompt; the next ones count on.")
@click.option(
    "--stop",
    multiple=True,
    metavar="TOKEN",
    help="End at this token, too (Ċ: a line's end). Repeatable.",
)
def generate(
    preset: str, prompts: tuple[str, ...], seed: int, stop: tuple[str, ...], **options
) -> None:
    """Continue texts by a language model. PRESET is a name or a folder; prints PROMPT and more."""
    from .. import zoo

    sampling = zoo.Sampling(**options)
    model = zoo.GPT2CausalLM.from_preset(preset)
    texts = model.generate(prompts, sampling, seed, stop=stop)
    for prompt, text in zip(prompts, texts, strict=True):
        click.echo(prompt + text)
