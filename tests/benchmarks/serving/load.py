"""Loads a gRPC server: N clients, each with one request in flight, always the same bytes.

Knows no protocol: the requests are bytes, so it needs nothing but grpcio, and each server is asked
by the same code. Prints one line of JSON.
"""

import argparse
import asyncio
import json
import statistics
import time
from pathlib import Path

import grpc

METADATA = (("application", "default"),)  # which Ray Serve wants to know
LIMITS = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]


async def client(call, requests, offset, until, seconds, failures):
    """Asks until the time is over; collects seconds per request and failed codes."""
    count = offset
    while time.perf_counter() < until:
        request = requests[count % len(requests)]
        count += 1
        begin = time.perf_counter()
        try:
            await call(request, timeout=60, metadata=METADATA)
        except grpc.aio.AioRpcError as error:
            failures.append(error.code().name)
        else:
            seconds.append(time.perf_counter() - begin)


async def measure(address, method, requests, clients, duration):
    async with grpc.aio.insecure_channel(address, options=LIMITS) as channel:
        call = channel.unary_unary(method)  # no serializers: bytes in, bytes out
        answer = await call(requests[0], timeout=60, metadata=METADATA)
        seconds, failures = [], []
        begin = time.perf_counter()
        until = begin + duration
        await asyncio.gather(
            *(client(call, requests, i, until, seconds, failures) for i in range(clients))
        )
        elapsed = time.perf_counter() - begin
    ranks = statistics.quantiles(seconds, n=100, method="inclusive")
    return {
        "requests_per_s": len(seconds) / elapsed,
        "p50_ms": 1000 * ranks[49],
        "p99_ms": 1000 * ranks[98],
        "requests": len(seconds),
        "failures": len(failures),
        "answer_bytes": len(answer),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("address")
    parser.add_argument("method", help="such as /tensorflow.serving.PredictionService/Predict")
    parser.add_argument("requests", type=Path, help="folder of files, each the bytes of a request")
    parser.add_argument("--clients", type=int, default=16)
    parser.add_argument("--seconds", type=float, default=10)
    options = parser.parse_args()
    requests = [path.read_bytes() for path in sorted(options.requests.iterdir())]
    measured = measure(options.address, options.method, requests, options.clients, options.seconds)
    print(json.dumps(asyncio.run(measured)))


if __name__ == "__main__":
    main()
