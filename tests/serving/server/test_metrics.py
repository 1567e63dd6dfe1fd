"""The page of metrics: exact text, and what Prometheus' own parser reads from it."""

import math
import threading

import numpy as np
import pytest
from prometheus_client.parser import text_string_to_metric_families

from polysemy.serving.server.metric import MAX_SERIES, Metric, exponential_buckets
from polysemy.serving.server.metrics import ServerMetrics


def samples(metrics):
    text = metrics.render().decode()
    families = list(text_string_to_metric_families(text))
    # The parser gives counters that have no `_total` one.
    named = {line.split()[2] for line in text.split("\n") if line.startswith("# TYPE")}
    found = {}
    for family in families:
        for sample in family.samples:
            name = sample.name.removesuffix("_total")
            name = name if family.type == "counter" and name in named else sample.name
            found[name, tuple(sorted(sample.labels.items()))] = sample.value
    return found


def test_histograms_as_tensorflow_serving_prints_them():
    metric = Metric("/tensorflow/serving/x", ["model", "API"], exponential_buckets(10, 1.8, 4))
    for value in (5, 10, np.float64(10.5), 40, 1e9):
        metric.add(value, "m", "Predict")
    labels = 'model="m",API="Predict"'
    assert metric.lines() == [
        "# TYPE :tensorflow:serving:x histogram",
        f':tensorflow:serving:x_bucket{{{labels},le="10"}} 2',
        f':tensorflow:serving:x_bucket{{{labels},le="18"}} 3',
        f':tensorflow:serving:x_bucket{{{labels},le="32.4"}} 3',
        f':tensorflow:serving:x_bucket{{{labels},le="58.32"}} 4',
        f':tensorflow:serving:x_bucket{{{labels},le="+Inf"}} 5',
        f":tensorflow:serving:x_sum{{{labels}}} 1000000065.5",
        f":tensorflow:serving:x_count{{{labels}}} 5",
    ]


def test_labels_from_clients_can_neither_break_the_page_nor_fill_the_memory():
    metrics = ServerMetrics()
    name = 'a"b\\c\nd{e="f"} 1'
    metrics.request(name, "predict", "REST", "NOT_FOUND", 0.1)
    key = ("model_name", name), ("status", "NOT_FOUND")
    assert samples(metrics)[":tensorflow:serving:request_count", key] == 1
    for i in range(MAX_SERIES + 10):
        metrics.request(f"made-up-{i}" * 1000, "predict", "REST", "NOT_FOUND", 0.1)
    for status in ("OK", "INTERNAL"):  # of a model that answers failures are counted, too
        metrics.request("real", "predict", "REST", status, 0.1)
    lines = metrics.render().decode().split("\n")
    counted = [line for line in lines if line.startswith(":tensorflow:serving:request_count{")]
    assert len(counted) == MAX_SERIES + 2 and max(map(len, counted)) < 500
    assert all('model_name="real"' in line for line in counted[-2:])


def test_each_event_is_under_its_name():
    metrics = ServerMetrics()
    metrics.request("m", "Predict", "GRPC", "OK", 0.5, examples=3, version=2, signature="s")
    metrics.request("m", "Predict", "GRPC", "INTERNAL", 0.5, examples=3)
    metrics.runtime("m", "Predict", 0.25)
    metrics.batch("m", 3, 4)
    metrics.queued(0.003, "pool")
    metrics.warmup("/m/2", 1.5, records=7)
    metrics.load("/m/2", 2.0)
    metrics.load("/m/3", 2.0, success=False)
    found = samples(metrics)
    serving = ":tensorflow:serving:"
    model, path = ("model_name", "m"), ("model_path", "/m/2")
    api, grpc = ("API", "Predict"), ("entrypoint", "GRPC")
    expected = {
        ("request_count", model, ("status", "OK")): 1,
        ("request_count", model, ("status", "INTERNAL")): 1,
        ("request_latency_sum", api, grpc, model): 500_000,
        ("runtime_latency_sum", api, model, ("runtime", "TF1")): 250_000,
        ("request_example_counts_sum", ("model", "m")): 3,
        ("request_example_count_total", ("model", "m")): 3,
        ("model_warmup_latency_sum", path, ("status", "OK")): 1_500_000,
        ("model_warmup_records_read", path, ("status", "OK")): 7,
        ("batching_session:queuing_latency_sum", ("thread_pool_name", "pool")): 3_000,
        ("batching_session:padding_size_sum", model): 1,
        ("batching_session:input_batch_size_sum", model): 3,
        ("batching_session:processed_batch_size_sum", model): 4,
        ("batching_session:wrapped_run_count",): 1,
    }
    for (name, *labels), value in expected.items():
        assert found[serving + name, tuple(labels)] == pytest.approx(value), name
    loading = ":tensorflow:cc:saved_model:"
    assert found[loading + "load_attempt_count", (path, ("status", "success"))] == 1
    assert found[loading + "load_latency", (path,)] == 2_000_000
    failed = ("model_path", "/m/3"), ("status", "fail")
    assert found[loading + "load_attempt_count", failed] == 1
    own = api, grpc, model, ("signature", "s"), ("version", "2")
    assert found["polysemy_serving_request_seconds_count", own] == 1
    assert found["process_start_time_seconds", ()] > 0
    metrics.unload("m", 2)
    assert ("polysemy_serving_request_seconds_count", own) not in samples(metrics)


def test_no_count_is_lost_between_threads():
    metric = Metric("x", buckets=[1.0])

    def work():
        for _ in range(2_000):
            metric.add(0.5)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert metric.lines()[-1] == "x_count{} 16000"
    assert math.isclose(float(metric.lines()[-2].split()[1]), 8_000)
