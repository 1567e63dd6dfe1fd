"""What a server counts, under TensorFlow Serving's names."""

from __future__ import annotations

import os

from prometheus_client import ProcessCollector

from .metric import Metric, exponential_buckets

DEFAULT_PATH = "/monitoring/prometheus/metrics"
# 10 us to about 20 minutes, of every latency in microseconds.
_LATENCIES = exponential_buckets(10, 1.8, 33)
_SIZES = exponential_buckets(1, 2, 15)
_SECONDS = (
    *(0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5),
    *(1.0, 2.5, 5.0, 10.0, 30.0, 60.0),
)


class ServerMetrics:
    """Counters and histograms of one server, rendered for Prometheus.

    The names, labels and buckets are those of TensorFlow Serving, so its dashboards work. Ours
    is `polysemy_serving_request_seconds`: latency by model, version, signature and API. Times
    come in as seconds, whatever unit is printed.

    Example:
    >>> metrics = ServerMetrics()
    >>> metrics.request("elmo", "Predict", "GRPC", "OK", 0.002, version=1, signature="tokens")
    >>> metrics.request("elmo", "predict", "REST", "NOT_FOUND", 0.001)
    >>> print("\\n".join(metrics.render().decode().split("\\n")[:3]))
    # TYPE :tensorflow:serving:request_count counter
    :tensorflow:serving:request_count{model_name="elmo",status="OK"} 1
    :tensorflow:serving:request_count{model_name="elmo",status="NOT_FOUND"} 1

    Reference: tensorflow_serving/servables/tensorflow/util.cc and batching/batching_session.cc.
    """

    def __init__(self) -> None:
        serving, batching = "/tensorflow/serving/", "/tensorflow/serving/batching_session/"
        loading = "/tensorflow/cc/saved_model/"
        self._requests = Metric(serving + "request_count", ["model_name", "status"])
        self._latency = Metric(
            serving + "request_latency", ["model_name", "API", "entrypoint"], _LATENCIES
        )
        self._runtime = Metric(
            serving + "runtime_latency", ["model_name", "API", "runtime"], _LATENCIES
        )
        self._examples = Metric(serving + "request_example_counts", ["model"], _SIZES)
        self._example_total = Metric(serving + "request_example_count_total", ["model"])
        self._warmup = Metric(
            serving + "model_warmup_latency", ["model_path", "status"], _LATENCIES
        )
        self._warmup_records = Metric(
            serving + "model_warmup_records_read", ["model_path", "status"]
        )
        # 100 us to about 1 s.
        queueing = exponential_buckets(100, 1.2, 52)
        self._queueing = Metric(batching + "queuing_latency", ["thread_pool_name"], queueing)
        # The last three are percentiles in TensorFlow Serving, which its page prints as 0.
        self._padding = Metric(batching + "padding_size", ["model_name"], [0, *_SIZES])
        self._given = Metric(batching + "input_batch_size", ["model_name"], _SIZES)
        self._processed = Metric(batching + "processed_batch_size", ["model_name"], _SIZES)
        self._runs = Metric(batching + "wrapped_run_count")
        self._loads = Metric(loading + "load_attempt_count", ["model_path", "status"])
        self._load_latency = Metric(loading + "load_latency", ["model_path"])
        self._seconds = Metric(
            "polysemy_serving_request_seconds",
            ["model_name", "version", "signature", "API", "entrypoint"],
            _SECONDS,
        )
        self._metrics = [value for value in vars(self).values() if isinstance(value, Metric)]
        self._process = ProcessCollector(registry=None)

    def request(
        self,
        model: str,
        api: str,
        entrypoint: str,
        status_code_name: str,
        seconds: float,
        examples: int | None = None,
        version: int | None = None,
        signature: str | None = None,
    ) -> None:
        """Counts one request that has been answered.

        Args:
            model: str. The name in the request, be there such a model or not.
            api: str. `Predict`, `Classify` ...; over REST the route's word, `predict` ...
            entrypoint: str. `GRPC` or `REST`.
            status_code_name: str. The gRPC code's name, `OK` or another.
            seconds: float. From the request's arrival to its answer.
            examples: int. Rows of the input, where they are known.
            version: int. The version that answered, where one did.
            signature: str. Its signature.
        """
        failed = status_code_name != "OK"
        # A model that has answered is none that a client made up: its failures always count.
        made_up = failed and not self._requests.has(model, "OK")
        self._requests.add(1, model, status_code_name, bounded=made_up)
        if failed:
            return
        self._latency.add(seconds * 1e6, model, api, entrypoint)
        if examples is not None:
            self._examples.add(examples, model)
            self._example_total.add(examples, model)
        if version is not None:
            self._seconds.add(seconds, model, str(version), signature or "", api, entrypoint)

    def runtime(self, model: str, api: str, seconds: float) -> None:
        """Counts one run of a model: the part of a request that TensorFlow computes."""
        self._runtime.add(seconds * 1e6, model, api, "TF1")

    def batch(self, model: str, input_batch_size: int, processed_batch_size: int) -> None:
        """Counts one batch that was run for several requests.

        Args:
            model: str.
            input_batch_size: int. Rows that the requests brought.
            processed_batch_size: int. Rows that were run, those that fill up included.
        """
        self._runs.add(1)
        self._given.add(input_batch_size, model)
        self._processed.add(processed_batch_size, model)
        self._padding.add(processed_batch_size - input_batch_size, model)

    def queued(self, seconds: float, thread_pool_name: str = "") -> None:
        """Counts how long one request has waited for its batch to begin."""
        self._queueing.add(seconds * 1e6, thread_pool_name)

    def warmup(
        self,
        path: str | os.PathLike,
        seconds: float,
        records: int = 0,
        status_code_name: str = "OK",
    ) -> None:
        """Counts one replay of a version's warm-up requests."""
        self._warmup.add(seconds * 1e6, os.fspath(path), status_code_name)
        self._warmup_records.add(records, os.fspath(path), status_code_name)

    def load(self, path: str | os.PathLike, seconds: float, success: bool = True) -> None:
        """Counts one attempt to load a version."""
        self._loads.add(1, os.fspath(path), "success" if success else "fail")
        if success:
            self._load_latency.add(round(seconds * 1e6), os.fspath(path))

    def unload(self, model: str, version: int) -> None:
        """Drops what is kept for one version, when it has left the memory."""
        self._seconds.remove(model_name=model, version=str(version))

    def render(self) -> bytes:
        """The page that Prometheus reads: every metric, then this process's memory, CPU, start."""
        lines = [line for metric in self._metrics for line in metric.lines()]
        for family in self._process.collect():
            for sample in family.samples:
                lines += [f"# TYPE {sample.name} {family.type}", f"{sample.name} {sample.value}"]
        return ("\n".join(lines) + "\n").encode("utf-8", "replace")
