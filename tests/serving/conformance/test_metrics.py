"""SERVING.md 12: the page that Prometheus reads."""

import http.client
import json
import re
import time
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from polysemy.serving.protos import ClassificationRequest
from polysemy.serving.server import Server
from polysemy.serving.server.options import ServerOptions

PATH = "/monitoring/prometheus/metrics"
ROW = {"a": [5.0, 6.0], "b": [1.0, 2.0]}


@pytest.fixture(scope="module")
def monitored(models, tmp_path_factory, asking):
    """A server with metrics at the default path, after one request of every kind."""
    folder = tmp_path_factory.mktemp("monitored")
    (folder / "monitoring").write_text("prometheus_config { enable: true }")
    (folder / "batching").write_text(
        "max_batch_size { value: 4 } allowed_batch_sizes: 4 thread_pool_name { value: 'pool' }"
    )
    (folder / "all").mkdir()
    for name in ("pair", "examples"):
        (folder / "all" / name).symlink_to(models / name)
    options = ServerOptions(
        port=0,
        free_ports=True,
        directory=str(folder / "all"),
        enable_batching=True,
        batching_parameters_file=str(folder / "batching"),
        monitoring_config_file=str(folder / "monitoring"),
        access_log=str(folder / "access.jsonl"),
    )
    with Server("", options=options) as server:
        port = server.rest_api_port
        predict = asking["predict_request"](**{name: [value] for name, value in ROW.items()})
        asking["grpc"](server.address, "PredictionService/Predict", predict)
        predict.model_spec.name = "nobody"
        asking["grpc"](server.address, "PredictionService/Predict", predict)
        classify = ClassificationRequest()
        classify.model_spec.name, classify.model_spec.signature_name = "examples", "classify"
        for _ in range(3):
            example = classify.input.example_list.examples.add()
            example.features.feature["x"].float_list.value.append(0.5)
        asking["grpc"](server.address, "PredictionService/Classify", classify)
        asking["rest"](port, "POST", "/v1/models/pair:predict", {"instances": [ROW]})
        body = {"signature_name": "regress", "examples": [{"x": 1.0}] * 2}
        asking["rest"](port, "POST", "/v1/models/examples:regress", body)
        asking["rest"](port, "GET", "/v1/models/pair/metadata")
        asking["rest"](port, "GET", "/v1/models/pair")
        asking["rest"](port, "POST", "/v1/models/pair:predict", {"inputs": 1})
        asking["rest"](port, "GET", "/v1/nothing")
        yield server


def fetch(server, method="GET", path=PATH):
    connection = http.client.HTTPConnection("localhost", server.rest_api_port, timeout=20)
    connection.request(method, path)
    response = connection.getresponse()
    text = response.read().decode()
    connection.close()
    return response, text


@pytest.fixture(scope="module")
def page(monitored):
    return fetch(monitored)[1]


def value(page, name, **labels):
    """The value of a sample, whose labels come in the order given."""
    text = ",".join(f'{key}="{label}"' for key, label in labels.items())
    found = re.search(rf"^{re.escape(name)}\{{{re.escape(text)}\}} (\S+)$", page, re.MULTILINE)
    assert found, f"no {name}{{{text}}}"
    return float(found[1])


SERVING = ":tensorflow:serving:"


def test_the_page_is_plain_text_at_the_configured_path_only(monitored, server):
    response, text = fetch(monitored)
    assert response.status == 200 and response.headers.get_content_type() == "text/plain"
    list(text_string_to_metric_families(text))  # parses
    assert fetch(monitored, path=PATH + "?x=1")[0].status == 200
    assert fetch(monitored, path="/metrics")[0].status == 404
    assert fetch(monitored, "POST")[0].status == 404
    assert fetch(server)[0].status == 404  # not configured


def test_type_lines_no_help_and_names_with_colons(page):
    assert "# HELP" not in page
    names = dict(re.findall(r"^# TYPE (\S+) (\S+)$", page, re.MULTILINE))
    assert names[":tensorflow:serving:request_count"] == "counter"
    assert names[":tensorflow:serving:request_latency"] == "histogram"
    for line in page.splitlines():
        name = re.match(r"(?:# TYPE )?([a-zA-Z_:][a-zA-Z0-9_:]*)", line)
        assert name, line


def test_request_count_by_model_and_status(page):
    count = SERVING + "request_count"
    assert value(page, count, model_name="pair", status="OK") == 4
    assert value(page, count, model_name="pair", status="INVALID_ARGUMENT") == 1
    assert value(page, count, model_name="examples", status="OK") == 2
    assert value(page, count, model_name="nobody", status="NOT_FOUND") == 1
    assert value(page, count, model_name="", status="INVALID_ARGUMENT") == 1


def test_request_latency_in_microseconds_of_successes(page):
    name = SERVING + "request_latency"
    for model, api, entrypoint in (
        ("pair", "Predict", "GRPC"),
        ("pair", "predict", "REST"),
        ("pair", "metadata", "REST"),
        ("examples", "Classify", "GRPC"),
        ("examples", "regress", "REST"),
    ):
        labels = {"model_name": model, "API": api, "entrypoint": entrypoint}
        assert value(page, name + "_count", **labels) == 1
        assert 1 < value(page, name + "_sum", **labels) < 60e6
    assert 'model_name="nobody",API' not in page


def test_latency_buckets_are_33_powers_and_le_is_the_last_label(page):
    prefix = 'request_latency_bucket{model_name="pair",API="Predict",entrypoint="GRPC",le="'
    bounds = re.findall(re.escape(prefix) + r'([^"]+)"\} (\d+)', page)
    assert len(bounds) == 34 and bounds[-1] == ("+Inf", "1")
    assert [bound for bound, _ in bounds[:5]] == ["10", "18", "32.4", "58.32", "104.976"]
    for i, (bound, _) in enumerate(bounds[:-1]):
        assert float(bound) == pytest.approx(10 * 1.8**i, rel=1e-5)
    counts = [int(count) for _, count in bounds]
    assert counts == sorted(counts)


def test_runtime_latency(page):
    labels = {"model_name": "pair", "API": "Predict", "runtime": "TF1"}
    assert value(page, SERVING + "runtime_latency_count", **labels) >= 2


def test_example_counts(page):
    assert value(page, SERVING + "request_example_counts_count", model="examples") == 2
    assert value(page, SERVING + "request_example_counts_sum", model="examples") == 5
    assert value(page, SERVING + "request_example_count_total", model="examples") == 5


def test_batching_session(page):
    session = SERVING + "batching_session:"
    assert value(page, session + "wrapped_run_count") >= 2
    for name in ("padding_size", "input_batch_size", "processed_batch_size"):
        assert value(page, f"{session}{name}_count", model_name="pair") == 2
    assert value(page, session + "input_batch_size_sum", model_name="pair") == 2
    assert value(page, session + "processed_batch_size_sum", model_name="pair") == 8
    assert value(page, session + "queuing_latency_count", thread_pool_name="pool") >= 2


def test_load_and_warm_up(page, monitored):
    (version,) = monitored.manager.models["pair"].available()
    path = str(version.path)
    loading = ":tensorflow:cc:saved_model:"
    assert value(page, loading + "load_attempt_count", model_path=path, status="success") == 1
    assert value(page, loading + "load_latency", model_path=path) > 0
    for name in ("model_warmup_latency", "model_warmup_records_read"):
        assert f"# TYPE {SERVING}{name} " in page


def test_latency_by_version_and_signature_under_a_name_of_our_own(page):
    labels = {"model_name": "examples", "version": "1", "signature": "classify"}
    labels |= {"API": "Classify", "entrypoint": "GRPC"}
    assert value(page, "polysemy_serving_request_seconds_count", **labels) == 1


def test_access_log(monitored):
    log = Path(monitored.options.access_log)
    for _ in range(100):
        lines = [json.loads(line) for line in log.read_text().splitlines()]
        if len(lines) >= 9:
            break
        time.sleep(0.02)
    found = [(line["entrypoint"], line["model"], line["api"], line["status"]) for line in lines]
    assert found == [
        ("GRPC", "pair", "Predict", "OK"),
        ("GRPC", "nobody", "Predict", "NOT_FOUND"),
        ("GRPC", "examples", "Classify", "OK"),
        ("REST", "pair", "predict", "OK"),
        ("REST", "examples", "regress", "OK"),
        ("REST", "pair", "metadata", "OK"),
        ("REST", "pair", "status", "OK"),
        ("REST", "pair", "predict", "INVALID_ARGUMENT"),
        ("REST", "", "", "INVALID_ARGUMENT"),
    ]
    assert [line["examples"] for line in lines] == [None, None, 3, 1, 2, None, None, None, None]
    assert lines[2]["version"] == 1 and lines[2]["signature"] == "classify"
    assert all(0 < line["milliseconds"] < 60_000 and line["peer"] for line in lines)
