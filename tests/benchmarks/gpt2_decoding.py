"""Measures GPT-2's greedy decoding with a cache against `transformers`. See README.md."""

import argparse
import random
import sys
import tempfile
from pathlib import Path

from run import interleave, must_agree
from table import Row, as_text, machine
from worker import THREADS, Worker

HERE = Path(__file__).parent
CASES = ((1, 32, 64), (8, 32, 64))  # rows, tokens of each prompt, new tokens
TARGET = 1.0


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repetitions", type=int, default=5, help="of each measurement (5)")
    parser.add_argument(
        "--quick", action="store_true", help="the tiny size, to try the code; no verdict"
    )
    parser.add_argument(
        "--peer-python", default=sys.executable, help="an interpreter that has torch"
    )
    return parser.parse_args()


def main():
    options = parse_arguments()
    size = "tiny" if options.quick else "small"
    draw, rows = random.Random(1), []
    with (
        tempfile.TemporaryDirectory() as temporary,
        Worker(sys.executable, HERE / "ours_gpt2.py") as ours,
        Worker(options.peer_python, HERE / "peer_gpt2.py") as peer,
    ):
        facts = {**ours.ask(facts=True), **peer.ask(facts=True)}
        folder = str(Path(temporary) / "gpt2")
        ours.ask(call="save", size=size, directory=folder)
        entries = {"ours": ours, "transformers": peer}
        for batch_size, length, new_tokens in CASES:
            prompts = [[draw.randrange(50000) for _ in range(length)] for _ in range(batch_size)]
            for key, worker in entries.items():
                worker.ask(
                    prepare="decoder", key=key, directory=folder, prompts=prompts,
                    new_tokens=new_tokens,
                )  # fmt: skip
            differing = sum(
                mine != theirs
                for mine, theirs in zip(
                    ours.ask(call="answers"), peer.ask(call="answers"), strict=True
                )
            )
            must_agree(f"GPT-2 {size}, {batch_size} rows", {"rows that differ": differing})
            times = interleave(entries, ["generate"], options.repetitions)
            seconds = [times[key, "generate"] for key in entries]
            tokens = f"{batch_size} × {length} tokens in, {new_tokens} out"
            what = f"GPT-2 {size}, greedy, {tokens}, float32"
            target = None if options.quick else TARGET
            rows.append(Row(what, *seconds, "transformers generate", target))
            for key, worker in entries.items():
                worker.ask(drop=key)
    print(f"Machine: {machine()}; {THREADS} threads for each side.")
    print("Versions: " + ", ".join(f"{name} {version}" for name, version in facts.items()) + ".")
    print(f"Medians of {options.repetitions} interleaved repetitions.\n")
    print(as_text(rows))


if __name__ == "__main__":
    main()
