"""Commands that serve exported models and ask servers."""

from __future__ import annotations

import difflib
import io
import json
import runpy
import sys
from pathlib import Path
from typing import Any

import click

from .base import Command, cli

_path = click.Path(path_type=Path)


class _ServeCommand(Command):
    """Takes the server's flags, which it does not know, and lists them in its help."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        super().format_options(ctx, formatter)
        # By its path: its package would bring TensorFlow, for which help does not wait.
        options = Path(__file__).parents[1] / "serving" / "server" / "options.py"
        for group, rows in runpy.run_path(str(options), run_name="options")["flag_help"]():
            with formatter.section(f"Flags, {group}"):
                formatter.write_dl(rows, col_max=40)


@cli.command(
    cls=_ServeCommand,
    context_settings={"ignore_unknown_options": True},
    examples=(
        "polysemy serve /models/ner --port 8500",
        "polysemy serve --model_config_file=models.config --rest_api_port=8501 --enable_batching",
        "polysemy serve /models/ner --engine tensorflow_model_server",
    ),
)
@click.argument("arguments", metavar="[DIR] [--FLAG=VALUE]...", nargs=-1, type=click.UNPROCESSED)
@click.option(
    "--engine",
    type=click.Choice(["polysemy", "tensorflow_model_server"]),
    default="polysemy",
    show_default=True,
    help="The server: Polysemy's own, or TensorFlow Serving's if it is installed.",
)
def serve(arguments: tuple[str, ...], engine: str) -> None:
    """Serve exported models. Over gRPC and REST, until Ctrl-C.

    DIR holds one model's versions, or one folder for each model. Without DIR the flags say what is
    served, as TensorFlow Serving's do: by --model_base_path, or by --model_config_file.
    """
    from ..serving.server import serve_forever
    from ..serving.server.flags import parse_flags, version_text

    options = parse_flags(arguments)
    if options.version:
        click.echo(version_text())
        return
    serve_forever(options=options, engine=engine)


@cli.command(
    examples=(
        'polysemy predict localhost:8500 ner "Ada lives in London ."',
        'polysemy predict http://localhost:8501 ner "Ada lives in London ."',
        "polysemy predict localhost:8500 ner - < sentences.txt",
        'polysemy predict localhost:8500 gpt2 "The river" --signature generate --input top_k=40 '
        "--input temperature=0.8",
        'polysemy predict localhost:8500 qa --signature answer --input "questions=Who sleeps?" '
        '--input "contexts=The cat sleeps."',
        "polysemy predict localhost:8500 plain --input 'a=[1.5, 2]' --input 'a=[0, 3]'",
    )
)
@click.argument("address", metavar="ADDRESS")
@click.argument("model")
@click.argument("text", nargs=-1)
@click.option("--signature", default="serving_default", show_default=True)
@click.option(
    "--input",
    "inputs",
    multiple=True,
    metavar="NAME=VALUE",
    help="An input by name, a row of it each time; a row that is a list in JSON. Repeatable.",
)
def predict(
    address: str, model: str, text: tuple[str, ...], signature: str, inputs: tuple[str, ...]
) -> None:
    """Ask a running server. MODEL's outputs for each TEXT, by one request, as JSON.

    ADDRESS is HOST:PORT of gRPC or http://HOST:PORT of REST. TEXT is for the one string input of
    the signature that must be given; a single - stands for the lines of standard input. --input
    gives others, as the signature's dtypes ask for.
    """
    from ..serving.client import Client
    from .request import read_inputs

    if text == ("-",):
        lines = io.TextIOWrapper(sys.stdin.buffer, "utf-8")
        text = tuple(line.rstrip("\n") for line in lines)
    with Client(address) as client:
        signatures = client.metadata(model)
        if signature not in signatures:
            known = sorted(name for name, each in signatures.items() if each["inputs"])
            raise ValueError(f"`--signature` must be one of {known}. Received: {signature!r}")
        values = read_inputs(signature, signatures[signature]["inputs"], text, inputs)
        outputs = client.predict(model, values, signature=signature)
    click.echo(json.dumps({name: plain(value) for name, value in outputs.items()}))


@cli.command(examples=("polysemy archive /models/elmo/1 elmo.tar.gz",))
@click.argument("version_directory", metavar="VERSION_DIR", type=_path)
@click.argument("path", metavar="FILE", type=_path)
def archive(version_directory: Path, path: Path) -> None:
    """Pack an export for TF Hub. VERSION_DIR, one version of a model, becomes FILE, a tar.gz."""
    from ..serving.hub_archive import archive as pack

    click.echo(pack(version_directory, path))


@cli.command(
    examples=(
        "polysemy deploy /models --to compose --out deployment",
        "polysemy deploy /models --to kubernetes --out manifests --replicas 3 --cpus 4",
    )
)
@click.argument("directory", metavar="DIR", type=_path)
@click.option("--to", required=True, type=click.Choice(["compose", "kubernetes"]))
@click.option("--out", required=True, type=_path, help="Folder of the files.")
@click.option("--name", help="Of the deployment. [made of DIR's name]")
@click.option("--image", help="[tensorflow/serving, of the version that exported the models]")
@click.option("--replicas", default=2, show_default=True, help="Servers at least (Kubernetes).")
@click.option("--max-replicas", default=8, show_default=True, help="Servers at most (Kubernetes).")
@click.option("--cpus", default=2, show_default=True, help="Cores of each server.")
@click.option("--gpu", is_flag=True, help="An NVIDIA GPU for each server.")
@click.option("--overwrite", is_flag=True, help="Replace files that differ.")
def deploy(directory, to, out, name, image, replicas, max_replicas, cpus, gpu, overwrite) -> None:
    """Write what runs models in production. TensorFlow Serving's configuration and manifests.

    DIR holds one model's versions, or one folder for each model, as `polysemy serve` takes it.
    """
    from ..serving.deploy import deploy as write

    numbers = (replicas, max_replicas, cpus)
    for path in write(directory, to, out, name, image, *numbers, gpu=gpu, overwrite=overwrite):
        click.echo(path)


def plain(value: Any) -> Any:
    """Turns an output tensor into what JSON can hold: nested lists, bytes as text."""
    if isinstance(value, bytes):
        return value.decode("utf-8", errors="replace")
    if isinstance(value, list):
        return [plain(item) for item in value]
    return plain(value.tolist()) if hasattr(value, "tolist") else value


def _refuse_misspelt(
    ctx: click.Context, _: click.Parameter, flags: tuple[str, ...]
) -> tuple[str, ...]:
    """Refuses flags that are almost options of the command: Beam would pass over them silently."""
    names = [name for parameter in ctx.command.get_params(ctx) for name in parameter.opts]
    options = [name for name in names if name.startswith("--")]
    for flag in flags:
        name = flag.partition("=")[0]
        near = difflib.get_close_matches(name, options, n=1, cutoff=0.8)
        if name.startswith("--") and near:
            raise click.UsageError(f"No such option: {name}. Did you mean {near[0]}?", ctx)
    return flags


@cli.command(
    examples=(
        "polysemy embed /models/elmo/1 --input 'corpus/*.txt.gz' --output vectors",
        "polysemy embed /models/elmo/1 --input 'gs://b/*' --output gs://v --runner DataflowRunner",
    ),
    context_settings={"ignore_unknown_options": True},
)
@click.argument("model", metavar="MODEL_DIR")
@click.option("--input", "pattern", required=True, help="Glob of text files, a sentence a line.")
@click.option("--output", required=True, help="Folder of the vectors.")
@click.option("--signature", default="serving_default", show_default=True)
@click.option("--keep", multiple=True, metavar="NAME", help="An output to keep. Repeatable.")
@click.option(
    "--format",
    "file_format",
    type=click.Choice(["parquet", "tfrecord"]),
    default="parquet",
    show_default=True,
)
@click.option("--lines-per-shard", default=1000, show_default=True, help="What a kill may cost.")
@click.option("--batch-size", default=32, show_default=True)
@click.argument(
    "flags",
    nargs=-1,
    type=click.UNPROCESSED,
    metavar="[BEAM FLAGS]...",
    is_eager=True,  # before an option is missed that was misspelt
    callback=_refuse_misspelt,
)
def embed(
    model, pattern, output, signature, keep, file_format, lines_per_shard, batch_size, flags
) -> None:
    """Embed a whole corpus. MODEL_DIR's vectors of each line of text, by Apache Beam.

    MODEL_DIR is an export, or one version of it. Beam's own flags may follow, --runner first of
    all. The same command after a kill goes on where it was, and after a change of the corpus
    embeds what changed. It fails at its end if a file is damaged: the rest is embedded.
    """
    from ..serving.beam import Embedding, embed, unreadable_files

    settings = (signature, keep, file_format, lines_per_shard, batch_size)
    embedding = Embedding(model, pattern, output, *settings)
    click.echo(json.dumps(embed(embedding, flags)))
    if paths := unreadable_files(embedding):
        raise click.ClickException(
            f"Files that cannot be read to their end: {len(paths)}, first {paths[0]}. "
            f"{output}/_bad_lines tells where and why."
        )
