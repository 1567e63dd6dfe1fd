"""Measures Polysemy against PyTorch and writes a table. `make bench` calls this; see README.md."""

import argparse
import os
import sys
import tempfile
from pathlib import Path

import attention
from compare import DTYPES, drop, interleave, must_agree
from table import Row, as_markdown, as_text, machine
from worker import THREADS, Worker

HERE = Path(__file__).parent
LSTM = {"rows": 32, "steps": 32, "inputs": 512, "units": 4096, "projection": 512}
QUICK_LSTM = {"rows": 4, "steps": 5, "inputs": 16, "units": 24, "projection": 8}
ROWS, WORDS = 32, 30  # of the text
MEMORY_LIMIT = 2048  # MiB


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--data-root",
        default=os.environ.get("POLYSEMY_DATA"),
        help="folder with lm/wikitext-2; by default $POLYSEMY_DATA; without it the bundled sample",
    )
    parser.add_argument("--repetitions", type=int, default=9, help="of each measurement (9)")
    parser.add_argument("--output", type=Path, default=HERE / "results.md", help="the report")
    parser.add_argument(
        "--only",
        choices=("lstm", "elmo", "memory", *attention.PARTS),
        help="one part; writes no report",
    )
    parser.add_argument(
        "--quick", action="store_true", help="tiny sizes, to try the code; writes no report"
    )
    parser.add_argument(
        "--peer-python", default=sys.executable, help="an interpreter that has torch"
    )
    return parser.parse_args()


def measure_lstm(ours, peer, folder, options):
    sizes = QUICK_LSTM if options.quick else LSTM
    entries = {}
    # The one in float32 last: the peer takes the arrays that it leaves.
    for dtype in reversed(DTYPES):
        arrays = str(folder / f"lstm_{dtype}.npz")
        ours.ask(
            prepare="lstm", key=f"ours {dtype}", dtype=DTYPES[dtype], sizes=sizes, arrays=arrays
        )
    must_agree("ProjectedLSTM", peer.ask(call="compare_lstm", sizes=sizes, arrays=arrays))
    for dtype in DTYPES:
        peer.ask(prepare="lstm", key=f"torch {dtype}", dtype=dtype, sizes=sizes, arrays=arrays)
        entries |= {f"ours {dtype}": ours, f"torch {dtype}": peer}
    times = interleave(entries, ["forward", "training"], options.repetitions)
    drop(entries)
    rows = []
    name = "ProjectedLSTM {inputs}→{units}→{projection}, {rows}×{steps}".format(**sizes)
    for action, label in (("forward", "forward"), ("training", "forward + backward")):
        for mine, theirs, target in (
            ("ours float32", "torch float32", 1.0),
            ("ours bfloat16", "torch float32", 1.0),
            ("ours bfloat16", "ours float32", 1.6),
            ("ours bfloat16", "torch bfloat16", None),
        ):
            against = theirs.replace("torch", "torch.nn.LSTM")
            what = f"{name}, {label}, {mine.split()[1]}"
            target = None if options.quick else target
            rows.append(Row(what, times[mine, action], times[theirs, action], against, target))
    return rows


def measure_elmo(ours, peer, folder, options, text):
    rows = []
    for size in ("tiny",) if options.quick else ("original", "small"):
        sentences, entries = text["sentences"], {}
        config = ours.ask(call="elmo_config", size=size)
        for dtype in reversed(DTYPES):
            arrays = str(folder / f"elmo_{size}_{dtype}.npz")
            ours.ask(
                prepare="elmo", key=f"ours {dtype}", dtype=DTYPES[dtype], size=size,
                sentences=sentences, arrays=arrays,
            )  # fmt: skip
        shared = {"config": config, "sentences": sentences, "arrays": arrays}
        must_agree(f"ELMo {size}", peer.ask(call="compare_elmo", **shared))
        for dtype in DTYPES:
            peer.ask(prepare="elmo", key=f"torch {dtype}", dtype=dtype, **shared)
            entries |= {f"ours {dtype}": ours, f"torch {dtype}": peer}
        times = interleave(entries, ["inference"], options.repetitions)
        drop(entries)
        targets = (1.5, 3.0) if size == "original" else (None, None)
        for mine, theirs, target in (
            ("ours float32", "torch float32", targets[0]),
            ("ours bfloat16", "torch float32", targets[1]),
            ("ours bfloat16", "torch bfloat16", None),
        ):
            seconds = times[mine, "inference"], times[theirs, "inference"]
            what = f"ELMo {size}, {ROWS}×{WORDS} words, all layers, {mine.split()[1]}"
            against = theirs.replace("torch", "PyTorch step by step,")
            rows.append(Row(what, *seconds, against, target))
    return rows


def measure_memory(folder, options, text):
    """Each in a fresh process: a peak is that of the whole process and never falls."""
    size = "tiny" if options.quick else "original"
    rows = []
    for dtype, policy in DTYPES.items():
        with Worker(sys.executable, HERE / "ours.py") as ours:
            ours.ask(
                prepare="elmo", key="ours", dtype=policy, size=size, sentences=text["sentences"]
            )
            for _ in range(5):
                ours.ask(time="ours", action="inference")
            memory = ours.ask(memory=True)
        rows.append(
            Row(
                f"ELMo {size}, peak resident memory of the process, {dtype}",
                [memory["peak"]],
                [memory["baseline"]],
                "after the imports",
                unit="MiB",
                limit=MEMORY_LIMIT,
            )
        )
    return rows


def main():
    options = parse_arguments()
    load = os.getloadavg()[0]
    if load > 0.5:
        print(f"Warning: the machine is busy (load {load:.1f}); the figures will be unsteady.")
    rows = []
    with (
        tempfile.TemporaryDirectory() as temporary,
        Worker(sys.executable, HERE / "ours.py") as ours,
        Worker(options.peer_python, HERE / "peer.py") as peer,
    ):
        folder = Path(temporary)
        facts = {**ours.ask(facts=True), **peer.ask(facts=True)}
        text = ours.ask(call="text", data_root=options.data_root, rows=ROWS, words=WORDS)
        if options.only in (None, "lstm"):
            rows += measure_lstm(ours, peer, folder, options)
        if options.only in (None, "elmo"):
            rows += measure_elmo(ours, peer, folder, options, text)
    if options.only in (None, "memory"):
        rows += measure_memory(folder, options, text)
    parts = [part for part in attention.PARTS if options.only in (None, part)]
    if parts:
        more, more_facts = attention.measure(parts, options)
        rows, facts = rows + more, {**facts, **more_facts}
    heading = [
        f"Machine: {machine()}; {THREADS} threads for each side.",
        "Versions: " + ", ".join(f"{name} {version}" for name, version in facts.items()) + ".",
        f"Text: {ROWS} × {WORDS} words of {text['source']}, {text['distinct']} of them distinct.",
        f"Medians of {options.repetitions} interleaved repetitions, the fastest in parentheses;"
        " ratio of medians.",
    ]
    print("\n".join(["", *heading, "", as_text(rows)]))
    if options.quick or options.only:
        print("\nA trial: no report is written.")
        return
    report = ["# Measured by `make bench`", "", *(f"- {line}" for line in heading), ""]
    options.output.write_text("\n".join([*report, as_markdown(rows), ""]), encoding="utf-8")
    print(f"\nWritten to {options.output}")


if __name__ == "__main__":
    main()
