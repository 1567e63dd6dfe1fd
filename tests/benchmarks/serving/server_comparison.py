"""Measures the server against direct calls, Ray Serve and MLServer; writes serving.md beside.

Each server has the machine to itself: started, warmed up, loaded by 16 clients, stopped; in turn,
for several rounds. ELMo is measured twice: with TensorFlow's own choice of threads, where our
server is measured with the flag that its documentation advises for such models, too; and with one
intra-op thread in every program. `make bench-serving` calls this; see ../README.md.
"""

import argparse
import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

from table import machine, markdown_lines  # noqa: E402, the folder above has it

PREDICT = "/tensorflow.serving.PredictionService/Predict"
INFER = "/inference.GRPCInferenceService/ModelInfer"
CLIENTS = 16
THREADS = {  # by model, by title: what the programs find in their environment
    "tiny": {"tiny": {}},
    "elmo": {"elmo": {}, "elmo, one intra-op thread": {"TF_NUM_INTRAOP_THREADS": "1"}},
}
OURS, ADVISED = "Polysemy", "Polysemy, one intra-op thread"
FLAGS = {"elmo": ["--tensorflow_intra_op_parallelism=1"]}  # by title: those of `ADVISED`
BATCHING = """max_batch_size { value: 16 }
batch_timeout_micros { value: 100000 }
num_batch_threads { value: 2 }
max_enqueued_batches { value: 64 }
"""


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=8, help="of each measurement (8)")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--ray-python", default=sys.executable, help="an interpreter with ray")
    parser.add_argument("--mlserver-python", help="an interpreter with mlserver; default: without")
    parser.add_argument("--only", choices=("tiny", "elmo"))
    parser.add_argument("--output", type=Path, default=HERE.parent / "serving.md")
    return parser.parse_args()


def build_models(folder):
    """Exports the models in a process of its own; returns {name: list of the rows to ask}."""
    code = f"""
import keras, numpy as np
from polysemy import zoo
from polysemy.serving import export
x = keras.Input((8,), name="x")
export(keras.Model(x, {{"y": keras.layers.Dense(4)(x)}}), {str(folder / "tiny")!r})
elmo = zoo.Elmo.from_size("small")
words = "the of a in to was his first city river year film band song game team".split()
export(elmo, {str(folder / "elmo")!r}, warmup=["the city ."])
"""
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
    words = "the of a in to was his first city river year film band song game team played".split()
    sentences = [
        " ".join(words[(i * 7 + j * 3) % len(words)] for j in range(12)) for i in range(32)
    ]
    return {"tiny": [[[0.5 + i] * 8] for i in range(4)], "elmo": [[text] for text in sentences]}


def write_requests(model, rows, folder):
    """PredictRequests as bytes, one file each."""
    import tensorflow as tf

    from polysemy.serving.protos import PredictRequest

    folder.mkdir()
    for i, row in enumerate(rows):
        request = PredictRequest()
        request.model_spec.name = model
        text = isinstance(row[0], str)
        tensor = tf.constant(row, tf.string if text else tf.float32)
        name = "sentences" if text else "x"
        request.inputs[name].CopyFrom(tf.make_tensor_proto(tensor))
        (folder / f"{i:03d}").write_bytes(request.SerializeToString())


def free_port():
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        return probe.getsockname()[1]


class Serving:
    """A server as a process that is loaded while the block lasts."""

    def __init__(self, command, port, environment, stdin=""):
        self.command, self.port, self.stdin = command, port, stdin
        self.environment = {"TF_CPP_MIN_LOG_LEVEL": "3", "RAY_DEDUP_LOGS": "0", **environment}

    def __enter__(self):
        self.log = tempfile.TemporaryFile("w+")
        self.process = subprocess.Popen(
            self.command, stdin=subprocess.PIPE, stdout=self.log, stderr=self.log, text=True,
            start_new_session=True, env={**os.environ, **self.environment},
        )  # fmt: skip
        assert self.process.stdin is not None  # a pipe, as asked for
        with self.process.stdin as stdin:
            stdin.write(self.stdin)
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            pass
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait()

    def load(self, method, requests, seconds, clients=CLIENTS, patience=120):
        """Loads the server; until it answers, tries again."""
        command = [sys.executable, HERE / "load.py", f"localhost:{self.port}", method, requests]
        command += ["--clients", str(clients), "--seconds", str(seconds)]
        until = time.monotonic() + patience
        while True:
            done = subprocess.run(command, capture_output=True, text=True)
            if done.returncode == 0:
                return json.loads(done.stdout)
            if time.monotonic() > until or self.process.poll() is not None:
                self.log.seek(0)
                raise RuntimeError(f"{self.command[:3]}:\n{done.stderr}\n{self.log.read()[-4000:]}")
            time.sleep(0.5)


def ours(model, folder, port):
    """The command of Polysemy's server."""
    flags = f"--port={port}", f"--model_name={model}", f"--model_base_path={folder / model}"
    return [sys.executable, "-m", "polysemy.cli", "serve", *flags]


def servers(title, model, folder, rows, options, port, work, environment):
    """{name of the server: (Serving, gRPC method, folder of requests)}."""
    version = str(folder / model / "1")
    batching = work / "batching.config"
    batching.write_text(BATCHING)
    batched = [
        *ours(model, folder, port),
        *("--enable_batching", f"--batching_parameters_file={batching}"),
    ]
    requests = work / "requests"
    found = {OURS: (Serving(batched, port, environment), PREDICT, requests)}
    if title in FLAGS:
        serving = Serving([*batched, *FLAGS[title]], port, environment)
        found[ADVISED] = (serving, PREDICT, requests)
    ray = [options.ray_python, str(HERE / "peer_ray.py"), version, str(port), "16"]
    found["Ray Serve"] = (Serving(ray, port, environment), PREDICT, requests)
    if options.mlserver_python:
        lines = "".join(json.dumps(row) + "\n" for row in rows)
        peer = [options.mlserver_python, str(HERE / "peer_mlserver.py"), version, str(port), "16"]
        for workers, name in (("1", "MLServer, as it comes"), ("0", "MLServer in one process")):
            requests = Path(tempfile.mkdtemp(dir=work)) / "requests"
            serving = Serving([*peer, workers, str(requests)], port, environment, lines)
            found[name] = (serving, INFER, requests)
    return found


def measure(title, model, rows, folder, options, work, environment):
    """Rounds of all servers; returns {name: list of measurements} and the direct calls'."""
    write_requests(model, rows, work / "requests")
    loads, direct = {}, []
    for _ in range(options.rounds):
        for name, (serving, method, requests) in servers(
            title, model, folder, rows, options, free_port(), work, environment
        ).items():
            with serving:
                serving.load(method, requests, 3)
                measured = serving.load(method, requests, options.seconds)
            loads.setdefault(name, []).append(measured)
            print(model, name, json.dumps(measured), flush=True)
        # Without batching: a lone request would wait for others until the timeout.
        with Serving(ours(model, folder, port := free_port()), port, environment) as serving:
            serving.load(PREDICT, work / "requests", 2, clients=1)
            alone = serving.load(PREDICT, work / "requests", options.seconds / 2, clients=1)
        loads[OURS][-1]["single_ms"] = alone["p50_ms"]
        command = [sys.executable, HERE / "direct.py", folder / model / "1", work / "requests"]
        done = subprocess.run(
            [*command, str(CLIENTS), str(options.seconds / 2)],
            capture_output=True, text=True, check=True, env={**os.environ, **environment},
        )  # fmt: skip
        direct.append(json.loads(done.stdout))
        print(model, "direct", done.stdout.strip(), flush=True)
    return loads, direct


def median(measurements, key):
    return statistics.median(each[key] for each in measurements)


def report(title, loads, direct):
    """The lines of one model's tables."""
    reached = {
        name: median(loads[name], "requests_per_s") for name in (OURS, ADVISED) if name in loads
    }
    header = ["server", "requests/s", "p50", "p99", "failures", "ours / theirs"]
    if ADVISED in reached:
        header.append("with one intra-op thread / theirs")
    rows = []
    for name, measured in loads.items():
        rate = median(measured, "requests_per_s")
        p50, p99 = median(measured, "p50_ms"), median(measured, "p99_ms")
        failures = str(sum(each["failures"] for each in measured))
        ratios = ["" if name in reached else f"{mine / rate:.2f}" for mine in reached.values()]
        rows.append([name, f"{rate:,.0f}", f"{p50:.1f} ms", f"{p99:.1f} ms", failures, *ratios])
    rate, single = median(direct, "rows_per_s"), median(direct, "single_ms")
    alone = median(loads[OURS], "single_ms")
    share = f"{reached[OURS] / rate:.2f} of it"
    if ADVISED in reached:
        share += f", with one intra-op thread {reached[ADVISED] / rate:.2f}"
    return [
        f"## {title}",
        "",
        *markdown_lines(header, rows),
        "",
        f"Direct calls in batches of 16: {rate:,.0f} rows/s; the server reaches {share}. One "
        f"client alone, without batching: {alone:.2f} ms a request over gRPC, "
        f"{single:.2f} ms a direct call, {alone - single:.2f} ms more.",
        "",
    ]


def main():
    options = parse_arguments()
    lines = [
        "# The server under load",
        "",
        f"Machine: {machine()}; clients and server share it. {CLIENTS} gRPC clients, one row a "
        f"request, one request in flight each, {options.seconds:g} s, medians of {options.rounds} "
        "rounds. All serve the same SavedModel and batch up to 16 rows within 100 ms. MLServer as "
        "it comes runs models in a process beside its own; with `parallel_workers` 0, in its own.",
        "",
    ]
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary, "models")
        models = build_models(folder)
        for model, rows in models.items():
            if options.only not in (None, model):
                continue
            for title, environment in THREADS[model].items():
                work = Path(tempfile.mkdtemp(dir=temporary))
                measured = measure(title, model, rows, folder, options, work, environment)
                lines += report(title, *measured)
    text = "\n".join(lines)
    print(text)
    if options.only is None:
        options.output.write_text(text)


if __name__ == "__main__":
    main()
