"""The main job on the bundled sample, from a language model to an answer over gRPC.

The steps are those of the experiments `sample_lm` and `sample_ner`, run by the same code as any
recipe.
"""

from __future__ import annotations

import json
import time
from pathlib import Path

from rich.console import Console
from rich.table import Table

from ..serving import Client
from ..serving.server import Server
from . import plots
from .experiments import get
from .run import build_trainer, run_experiment

SENTENCES = Path(__file__).parent / "samples" / "text.txt"


def main(out: str | Path = "demo") -> None:
    """Fine-tunes the shipped biLM, trains a tagger without and with it, exports, serves, asks.

    Args:
        out: folder for runs, pictures and the served model. An interrupted demo goes on there.
    """
    out, console, start = Path(out), Console(width=100), time.monotonic()
    out.mkdir(parents=True, exist_ok=True)

    console.rule("1  Fine-tune the shipped language model on the sample's text")
    before, after, preset = _fine_tune(out)
    console.print(
        f"test perplexity, average of both directions: {before:.1f} before, {after:.1f} after"
    )

    console.rule("2  Train a tagger without and with its representations")
    settings = [f"task.encoder={preset}"]
    scores, folders = {}, {}
    for variant in ("no_lm", "elmo"):
        overrides = [] if variant == "no_lm" else settings
        summary = run_experiment(
            "sample_ner", ("train", "evaluate"), overrides, out / "runs", variants=[variant]
        )
        scores[variant] = summary[variant]
        folders[variant] = out / "runs" / "sample_ner" / variant / "seed1"
    console.print(_table(scores))
    weights = plots.read_layer_weights(out / "runs", "sample_ner", "elmo")
    named = zip(("characters", "LSTM 1", "LSTM 2"), weights[0], strict=True)
    console.print("layers mixed: " + ", ".join(f"{name} {weight:.2f}" for name, weight in named))
    labels = {"no_lm": "without biLM", "elmo": "with biLM"}
    curves = plots.learning_curves(
        {labels[variant]: folder for variant, folder in folders.items()},
        "dev_f1",
        out / "learning_curves.png",
    )
    bars = plots.layer_weights({"sample entities": weights}, out / "layer_weights.png")
    console.print(f"pictures: {curves}, {bars}")

    console.rule("3  Export the tagger, serve it, ask over gRPC")
    run_experiment("sample_ner", ("export",), settings, out / "runs", variants=["elmo"])
    sentences = SENTENCES.read_text(encoding="utf-8").splitlines()[:3]
    _ask(console, folders["elmo"] / "export", sentences)
    minutes, seconds = divmod(round(time.monotonic() - start), 60)
    console.print(f"server stopped; the demo took {minutes} min {seconds} s")


def _fine_tune(out: Path) -> tuple[float, float, Path]:
    """Perplexity before and after, and the folder of the fine-tuned preset."""
    run = get("sample_lm").run("default", 1)
    folder = out / "runs" / "sample_lm" / "default" / "seed1"
    known = out / "perplexity_before.json"
    if not known.exists():
        trainer = build_trainer(run, folder)
        known.write_text(json.dumps(trainer.evaluate("test")), encoding="utf-8")
    before = json.loads(known.read_text(encoding="utf-8"))["perplexity"]
    summary = run_experiment("sample_lm", ("train", "evaluate", "export"), out=out / "runs")
    return before, summary["default"]["test_perplexity"][0], folder / "preset"


def _table(scores) -> Table:
    columns = ("f1", "precision", "recall")
    table = Table("tagger", *columns, title="Entities of the sample's test split")
    for variant, label in (("no_lm", "words + characters"), ("elmo", "… + biLM")):
        row = (f"{100 * scores[variant][f'test_{name}'][0]:.1f}" for name in columns)
        table.add_row(label, *row)
    return table


def _ask(console: Console, export: Path, sentences: list[str]) -> None:
    with Server(export, port=0, rest_api_port=None, model_name="ner_tagger") as server:
        console.print(f"serving {export} at {server.address}")
        client = Client(server.address)
        answer = client.predict("ner_tagger", sentences=sentences)
    for tokens, tags in zip(answer["tokens"], answer["tags"], strict=True):
        pairs = zip(tokens, tags, strict=True)
        words = (_colored(token.decode(), tag.decode()) for token, tag in pairs if token)
        console.print("  " + " ".join(words))


def _colored(token: str, tag: str) -> str:
    token = token.replace("[", r"\[")
    return token if tag == "O" else f"[bold cyan]{token}[/]/[green]{tag}[/]"
