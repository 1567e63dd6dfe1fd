"""Mixed load for half an hour while versions change: failures, and the memory of the server.

gRPC and REST clients ask two models, their status and metadata, at a steady rate; every minute each
model gets a new version and loses its oldest. Writes serving_soak.md. `make soak` calls this.
"""

import argparse
import asyncio
import json
import os
import shutil
import statistics
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import aiohttp
import grpc
from server_comparison import BATCHING, HERE, Serving, build_models, free_port, write_requests

sys.path.insert(0, str(HERE.parent))

from table import machine  # noqa: E402, the folder above has it

SERVICE = "/tensorflow.serving"


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--settle", type=float, default=5, help="minutes before memory counts")
    parser.add_argument("--rate", type=float, default=40, help="requests/s of all clients together")
    parser.add_argument("--change", type=float, default=60, help="seconds between versions")
    parser.add_argument("--batching", action="store_true", help="let requests share runs")
    parser.add_argument("--output", type=Path, default=HERE.parent / "serving_soak.md")
    return parser.parse_args()


def resident_mib(pid):
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def kinds_of_requests(channel, session, rest, requests, rows):
    """{name: function of a number that asks once}; each raises if the answer is not right."""
    from polysemy.serving.protos import GetModelMetadataRequest, GetModelStatusRequest

    def unary(method, message):
        call = channel.unary_unary(f"{SERVICE}.{method}")

        async def ask(i):
            body = message[i % len(message)] if isinstance(message, list) else message
            assert await call(body, timeout=30)

        return ask

    def post(model, inputs):
        async def ask(i):
            body = {"inputs": inputs[i % len(inputs)]}
            async with session.post(f"{rest}/{model}:predict", json=body) as answer:
                assert answer.status == 200, await answer.text()
                await answer.read()

        return ask

    async def get_status(i):
        async with session.get(f"{rest}/elmo") as answer:
            assert answer.status == 200, await answer.text()

    metadata = GetModelMetadataRequest(metadata_field=["signature_def"])
    metadata.model_spec.name = "elmo"
    status = GetModelStatusRequest()
    status.model_spec.name = "tiny"
    return {
        "gRPC Predict tiny": unary("PredictionService/Predict", requests["tiny"]),
        "gRPC Predict elmo": unary("PredictionService/Predict", requests["elmo"]),
        "REST predict tiny": post("tiny", rows["tiny"]),
        "REST predict elmo": post("elmo", rows["elmo"]),
        "gRPC GetModelMetadata": unary(
            "PredictionService/GetModelMetadata", metadata.SerializeToString()
        ),
        "gRPC GetModelStatus": unary("ModelService/GetModelStatus", status.SerializeToString()),
        "REST status": get_status,
    }


async def ask_for_ever(name, ask, pause, counts, failures, latencies):
    number = 0
    while True:
        begin = time.perf_counter()
        try:
            await ask(number)
        except (AssertionError, grpc.aio.AioRpcError, aiohttp.ClientError, OSError) as error:
            failures.append((name, " ".join(str(error).split())[:200]))
        else:
            latencies[name].append(time.perf_counter() - begin)
        counts[name] += 1
        number += 1
        await asyncio.sleep(max(0.0, pause - (time.perf_counter() - begin)))


async def change_versions(folder, seconds, changes):
    """A copy under a name of its own, renamed; then the oldest is removed."""
    version = 1
    while True:
        await asyncio.sleep(seconds)
        for model in ("tiny", "elmo"):
            beside = folder / model / f".{version + 1}.tmp"
            await asyncio.to_thread(shutil.copytree, folder / model / str(version), beside)
            beside.rename(folder / model / str(version + 1))
            if version > 1:
                shutil.rmtree(folder / model / str(version - 1))
        version += 1
        changes.append(version)


async def watch(pid, memory, begin):
    while True:
        memory.append((time.perf_counter() - begin, resident_mib(pid)))
        await asyncio.sleep(5)


async def soak(options, folder, ports, pid, work, rows):
    requests = {
        model: [path.read_bytes() for path in sorted((work / model).iterdir())] for model in rows
    }
    counts, failures, memory, changes = Counter(), [], [], []
    async with (
        grpc.aio.insecure_channel(f"localhost:{ports[0]}") as channel,
        aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(30)) as session,
    ):
        rest = f"http://localhost:{ports[1]}/v1/models"
        kinds = kinds_of_requests(channel, session, rest, requests, rows)
        latencies = {name: [] for name in kinds}
        pause = len(kinds) / options.rate
        begin = time.perf_counter()
        jobs = [
            ask_for_ever(name, ask, pause, counts, failures, latencies)
            for name, ask in kinds.items()
        ]
        jobs += [change_versions(folder, options.change, changes), watch(pid, memory, begin)]
        tasks = [asyncio.create_task(job) for job in jobs]
        done, _ = await asyncio.wait(
            tasks, timeout=60 * options.minutes, return_when=asyncio.FIRST_EXCEPTION
        )
        for task in done:
            task.result()  # a mistake of this program
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    return counts, failures, memory, changes, latencies


def report(options, counts, failures, memory, changes, latencies):
    settled = [mib for when, mib in memory if when >= 60 * options.settle]
    middle = statistics.median(settled)
    spread = max(abs(mib - middle) for mib in settled) / middle
    third = max(1, len(settled) // 5)
    early, late = statistics.mean(settled[:third]), statistics.mean(settled[-third:])
    lines = [
        "# Half an hour of mixed load with a new version every minute",
        "",
        f"Machine: {machine()}, shared with the clients. {options.minutes:g} minutes, about "
        f"{options.rate:g} requests/s, {len(changes)} version changes of each of two models, "
        f"batching {'on' if options.batching else 'off'}.",
        "",
        f"**Failed requests: {len(failures)} of {sum(counts.values()):,}.** Resident memory after "
        f"the first {options.settle:g} minutes: median {middle:,.0f} MiB, farthest from it "
        f"{100 * spread:.1f} %, first fifth {early:,.0f} MiB, last fifth {late:,.0f} MiB. While a "
        "version changes, the old one and the new one are in memory.",
        "",
        "| request | count | p50 | p99 | largest |",
        "| --- | --- | --- | --- | --- |",
    ]
    for name, seconds in latencies.items():
        ranks = statistics.quantiles(seconds, n=100, method="inclusive")
        lines.append(
            f"| {name} | {counts[name]:,} | {1000 * ranks[49]:.1f} ms | {1000 * ranks[98]:.1f} ms "
            f"| {1000 * max(seconds):.0f} ms |"
        )
    lines += ["", "| minute | resident MiB |", "| --- | --- |"]
    for minute in range(0, int(options.minutes) + 1, max(1, int(options.minutes) // 10)):
        nearest = min(memory, key=lambda entry: abs(entry[0] - 60 * minute))
        lines.append(f"| {minute} | {nearest[1]:,.0f} |")
    lines += ["", *(f"- {name}: {text}" for name, text in failures[:20])]
    return "\n".join(lines).rstrip() + "\n"


def main():
    options = parse_arguments()
    with tempfile.TemporaryDirectory() as temporary:
        folder, work = Path(temporary, "models"), Path(temporary, "work")
        rows = build_models(folder)
        work.mkdir()
        for model in rows:
            write_requests(model, rows[model], work / model)
        (work / "batching.config").write_text(BATCHING)
        ports = free_port(), free_port()
        command = [
            *(sys.executable, "-m", "polysemy.cli", "serve", str(folder)),
            *(f"--port={ports[0]}", f"--rest_api_port={ports[1]}"),
        ]
        if options.batching:
            command += [
                "--enable_batching",
                f"--batching_parameters_file={work / 'batching.config'}",
            ]
        with Serving(command, ports[0], {}) as serving:
            # Waits until both models answer.
            method = f"{SERVICE}.PredictionService/Predict"
            for model in rows:
                serving.load(method, work / model, 1, clients=2)
            pid = serving.process.pid
            outcome = asyncio.run(soak(options, folder, ports, pid, work, rows))
    text = report(options, *outcome)
    print(text)
    options.output.write_text(text)
    failures, counts = outcome[1], outcome[0]
    print(json.dumps({"failed": len(failures), "requests": sum(counts.values())}))


if __name__ == "__main__":
    main()
