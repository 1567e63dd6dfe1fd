"""Commands that serve exported models and ask servers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from .base import cli

_path = click.Path(path_type=Path)


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
    from ..serving.server import serve_forever

    serve_forever(directory, port, rest_api_port, model_name, model_base_path, engine)


@cli.command(examples=('polysemy predict localhost:8500 ner "Ada lives in London ."',))
@click.argument("address", metavar="HOST:PORT")
@click.argument("model")
@click.argument("text", nargs=-1, required=True)
@click.option("--signature", default="serving_default", show_default=True)
def predict(address: str, model: str, text: tuple[str, ...], signature: str) -> None:
    """Ask a running server. MODEL's outputs for each TEXT, by one gRPC request, as JSON."""
    from ..serving.client import Client

    with Client(address) as client:
        outputs = client.predict(model, {"sentences": list(text)}, signature=signature)
    click.echo(json.dumps({name: plain(value) for name, value in outputs.items()}))


def plain(value: Any) -> Any:
    """Turns an output tensor into what JSON can hold: nested lists, bytes as text."""
    if isinstance(value, bytes):
        return value.decode("utf-8", errors="replace")
    if isinstance(value, list):
        return [plain(item) for item in value]
    return plain(value.tolist()) if hasattr(value, "tolist") else value
