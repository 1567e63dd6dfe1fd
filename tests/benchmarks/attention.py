"""The attention family against `transformers` in PyTorch and against keras-hub. See README.md."""

import sys
import tempfile
from pathlib import Path

from compare import drop, interleave, must_agree
from table import Row
from worker import Worker

HERE = Path(__file__).parent
PARTS = ("bert", "bert_step", "gpt2")
DTYPES = ("float32", "bfloat16")


def _bert(layers, dim, vocabulary=30_522):
    return {
        "vocabulary_size": vocabulary, "num_layers": layers, "num_heads": max(dim // 64, 2),
        "hidden_dim": dim, "intermediate_dim": 4 * dim,
    }  # fmt: skip


def _gpt2(layers, dim, vocabulary=50_257):
    return {
        "vocabulary_size": vocabulary, "num_layers": layers, "num_heads": max(dim // 64, 2),
        "hidden_dim": dim,
    }  # fmt: skip


SIZES = {
    "bert": ({"config": _bert(12, 768), "rows": 16, "length": 128}, "BERT-base, encode"),
    "bert_step": (
        {"config": _bert(4, 512), "rows": 32, "length": 128},
        "BERT-small, training step",
    ),
    "gpt2": ({"config": _gpt2(12, 768), "rows": 1, "prompt": 32, "new": 64}, "GPT-2 124M, greedy"),
}
QUICK = {
    "bert": ({"config": _bert(1, 16, 1000), "rows": 2, "length": 8}, "tiny BERT, encode"),
    "bert_step": ({"config": _bert(1, 16, 1000), "rows": 2, "length": 8}, "tiny BERT, step"),
    "gpt2": ({"config": _gpt2(1, 16, 1000), "rows": 1, "prompt": 4, "new": 3}, "tiny GPT-2"),
}
# (ours, theirs, least ratio), each a side, a dtype, and how it is run if not as it comes: XLA, or
# with weights that TensorFlow may take for frozen. Both sides keep their weights in the dtype that
# is named; in a training step ours are float32 and only the computing is in bfloat16, as training
# wants it.
TARGETS = {
    "bert": (
        ("ours float32", "torch float32", 1.0),
        ("ours bfloat16", "keras-hub bfloat16", 1.5),
        ("ours bfloat16", "torch bfloat16", 1.0),
        ("ours bfloat16 frozen", "torch bfloat16", 1.0),
        ("ours float32", "keras-hub float32", None),
        ("ours mixed_bfloat16", "torch bfloat16", None),
    ),
    "bert_step": (
        ("ours float32", "torch float32", 1.0),
        ("ours mixed_bfloat16", "torch float32", 1.0),
        ("ours mixed_bfloat16", "ours float32", 1.0),
        ("ours mixed_bfloat16", "torch bfloat16", None),
    ),
    "gpt2": (
        ("ours float32", "torch float32", 1.0),
        ("ours float32 XLA", "torch float32", 1.0),
        ("ours bfloat16", "torch bfloat16", None),
    ),
}
JOBS = {"bert": ("encode", "encode"), "bert_step": ("train", "step"), "gpt2": ("decode", "decode")}
MEMORY_RATIO = 1 / 1.2  # our peak may be 1.2 times theirs
# What a row of memory leaves out, and how it says so. Unchanged pages of libraries are the system's
# own copy of their files: all processes share it, and it is dropped where memory is scarce.
LEFT_OUT = {
    "": None,
    ", less the imports'": "baseline",
    ", less the pages of libraries": "libraries",
}


def measure(parts, options):
    """The rows of the parts, and the versions of the libraries."""
    rows, facts = [], {}
    with (
        tempfile.TemporaryDirectory() as folder,
        Worker(sys.executable, HERE / "attention_ours.py") as ours,
        Worker(
            sys.executable, HERE / "attention_ours.py", TF_ONEDNN_ASSUME_FROZEN_WEIGHTS="1"
        ) as frozen,
        Worker(options.peer_python, HERE / "attention_torch.py") as torch,
        Worker(options.peer_python, HERE / "attention_keras_hub.py") as hub,
    ):
        workers = {"ours": ours, "ours frozen": frozen, "torch": torch, "keras-hub": hub}
        for worker in (torch, hub):
            facts |= worker.ask(facts=True)
        for part in parts:
            rows += _times(part, workers, folder, options)
            rows += _memory(part, folder, options)
    return rows, facts


def _times(part, workers, folder, options):
    sizes, label = (QUICK if options.quick else SIZES)[part]
    job, action = JOBS[part]
    keys = list(dict.fromkeys(key for *pair, _ in TARGETS[part] for key in pair))
    entries = {}
    for key in keys:  # ours in float32 is first: the peer takes what it leaves
        side, dtype, *way = key.split()
        entries[key] = worker = workers["ours frozen" if way == ["frozen"] else side]
        how = {"jit_compile": True} if way == ["XLA"] else {}
        _prepare(worker, side, key, dtype, job, sizes | how, folder, leave=len(entries) == 1)
        if len(entries) == 1 and job != "train":
            rest = {"new": sizes["new"]} if job == "decode" else {}
            must_agree(label, workers["torch"].ask(call=f"compare_{job}", folder=folder, **rest))
    seconds = interleave(entries, [action], options.repetitions)
    drop(entries)
    rows = []
    for mine, theirs, target in TARGETS[part]:
        target = None if options.quick else target
        name = f"{label}, {_shape(sizes)}, {mine.removeprefix('ours ')}"
        rows.append(Row(name, seconds[mine, action], seconds[theirs, action], theirs, target))
    return rows


def _prepare(worker, side, key, dtype, job, sizes, folder, leave=False, load=False):
    if side == "torch":
        needed = {"encode": (), "train": ("rows", "length"), "decode": ("new",)}[job]
        arguments = {"folder": folder, **{name: sizes[name] for name in needed}}
    else:
        arguments = dict(sizes)
        if leave:
            arguments["folder"] = folder
        if load:
            arguments["checkpoint"] = folder
    worker.ask(prepare=job, key=key, dtype=dtype, **arguments)


def _shape(sizes):
    if "new" in sizes:
        return f"{sizes['rows']} × ({sizes['prompt']} + {sizes['new']}) tokens"
    return f"{sizes['rows']} × {sizes['length']} tokens"


def _memory(part, folder, options):
    """Peaks of fresh processes, their libraries included, which load the same weights."""
    sizes, label = (QUICK if options.quick else SIZES)[part]
    job, action = JOBS[part]
    peaks = {}
    scripts = {"ours": "attention_ours.py", "torch": "attention_torch.py"}
    for side, script in scripts.items():
        python = sys.executable if side == "ours" else options.peer_python
        with Worker(python, HERE / script) as worker:
            _prepare(worker, side, "one", "float32", job, sizes, folder, load=True)
            for _ in range(3):
                worker.ask(time="one", action=action)
            peaks[side] = worker.ask(memory=True)
    target = None if options.quick else MEMORY_RATIO
    rows = []
    for less, part in LEFT_OUT.items():
        mine, theirs = (peak["peak"] - (peak[part] if part else 0) for peak in peaks.values())
        name = f"{label}, peak resident memory, float32{less}"
        rows.append(Row(name, [mine], [theirs], "torch float32", target, unit="MiB"))
    return rows
