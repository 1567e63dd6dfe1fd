"""SERVING.md 8, routes: which method and path mean what, and the status code of every error."""

import gzip
import http.client
import json
import time

import grpc
import pytest

from polysemy.serving.protos import ModelServerConfig
from polysemy.serving.server import Server
from polysemy.serving.server.options import ServerOptions
from polysemy.serving.server.rest_handler import HTTP_STATUS

BODY = {"instances": [{"a": [5.0, 6.0], "b": [1.0, 2.0]}]}
ROWS = {"predictions": [[3.0, 2.0]]}
AVAILABLE = {
    "version": "1",
    "state": "AVAILABLE",
    "status": {"error_code": "OK", "error_message": ""},
}


@pytest.fixture(scope="module")
def flagged(models, tmp_path_factory):
    """A server with a label, CORS, metrics and a short time limit."""
    folder = tmp_path_factory.mktemp("flagged")
    config = ModelServerConfig()
    for name in ("pair", "failing"):
        entry = config.model_config_list.config.add(name=name, base_path=str(models / name))
        entry.model_platform = "tensorflow"
        entry.version_labels["stable"] = 1
    (folder / "models").write_text(str(config))
    (folder / "monitoring").write_text("prometheus_config { enable: true path: '/m/e' }")
    options = ServerOptions(
        port=0,
        free_ports=True,
        model_config_file=str(folder / "models"),
        monitoring_config_file=str(folder / "monitoring"),
        rest_api_enable_cors_support=True,
        rest_api_timeout_in_ms=500,
        access_log=str(folder / "access.jsonl"),
        shutdown_grace_seconds=5.0,
    )
    with Server("", options=options) as server:
        yield server


def answer(server, method, path, body=None, headers=()):
    connection = http.client.HTTPConnection("localhost", server.rest_api_port, timeout=20)
    connection.request(method, path, body, dict(headers))
    response = connection.getresponse()
    text = response.read()
    connection.close()
    return response.status, text, response.headers


@pytest.mark.parametrize("model", ["pair", "pair/versions/1", "p%61ir", "pair/versions/001"])
def test_predict_by_name_and_version(rest, model):
    assert rest("POST", f"/v1/models/{model}:predict", BODY) == (200, ROWS)
    assert rest("POST", f"/V1/MODELS/{model}:Predict", BODY) == (200, ROWS)  # case is ignored


def test_predict_and_metadata_by_label(flagged, asking):
    port = flagged.rest_api_port
    assert asking["rest"](port, "POST", "/v1/models/pair/labels/stable:predict", BODY) == (
        200,
        ROWS,
    )
    status, body = asking["rest"](port, "GET", "/v1/models/pair/labels/stable/metadata")
    assert status == 200 and body["model_spec"]["version"] == "1"
    status, body = asking["rest"](port, "POST", "/v1/models/pair/labels/other:predict", BODY)
    assert status == 400 and body == {"error": "Unrecognized servable version label: other"}


def test_status_of_name_and_version_and_a_label_is_ignored(rest):
    for path in ("", "/versions/1", "/labels/any"):
        assert rest("GET", f"/v1/models/pair{path}") == (200, {"model_version_status": [AVAILABLE]})


def test_metadata_is_proto3_json_with_defaults_and_a_doubled_key(rest):
    for path in ("", "/versions/1"):
        status, body = rest("GET", f"/v1/models/pair{path}/metadata")
        assert status == 200 and list(body) == ["model_spec", "metadata"]
        assert body["model_spec"] == {"name": "pair", "signature_name": "", "version": "1"}
        signature = body["metadata"]["signature_def"]["signature_def"]["serving_default"]
        assert set(signature) == {"inputs", "outputs", "method_name", "defaults"}
        assert signature["defaults"] == {}
        a = signature["inputs"]["a"]
        assert a["dtype"] == "DT_FLOAT" and a["name"] == "serving_default_a:0"
        dimensions = [{"size": "-1", "name": ""}, {"size": "2", "name": ""}]
        assert a["tensor_shape"] == {"dim": dimensions, "unknown_rank": False}


MALFORMED = [
    *[(verb, "/v1/models/pair") for verb in ("PUT", "DELETE", "PATCH", "POST")],
    *[(verb, "/v1/models/pair:predict") for verb in ("PUT", "DELETE", "PATCH", "GET")],
    ("POST", "/v1/models/pair/metadata"),
    ("GET", "/v1/models/pair/versions/-1"),
    ("GET", "/v1/models/pair/versions/one"),
    ("GET", "/v1/models/pair/versions/1/labels/stable"),
    ("GET", "/v1/models/pair/versions/"),
    ("GET", "/v1/models/pair/"),
    ("GET", "/v1/models/"),
    ("POST", "/v1/models:predict"),
    ("POST", "/v1/models/pair:predict/"),
    ("POST", "/v1/models/pair:predict?x=1"),
    ("POST", "/v1/models/pair:explain"),
    ("GET", "/v1/models/../../etc/passwd"),
    ("GET", "/v1/models/pair/../pair"),
    ("GET", "/v1/"),
    ("GET", "/v1/x"),
]


@pytest.mark.parametrize(("verb", "path"), MALFORMED)
def test_other_paths_and_verbs_are_malformed(rest, verb, path):
    body = BODY if verb == "POST" else None
    assert rest(verb, path, body) == (400, {"error": f"Malformed request: {verb} {path}"})


def test_head_is_malformed_and_has_no_body(server):
    status, text, headers = answer(server, "HEAD", "/v1/models/pair")
    assert (status, text, headers["Content-Type"]) == (400, b"", "application/json")


@pytest.mark.parametrize(
    ("verb", "path", "status", "error"),
    [
        ("GET", "/v1/models", 400, "Missing model name in request."),
        ("GET", f"/v1/models/pair/versions/{2**63}", 400, "Failed to convert version"),
        ("POST", f"/v1/models/pair/versions/{'9' * 5000}:predict", 400, "Failed to convert"),
        ("GET", f"/v1/models/pair/versions/{2**63 - 1}", 404, "Could not find version 92233"),
        ("GET", "/v1/models/nobody", 404, "Could not find any versions of model nobody"),
        ("GET", "/v1/models/nobody/metadata", 404, "Servable not found for request: Latest(nob"),
        ("POST", "/v1/models/nobody:predict", 404, "Servable not found for request: Latest(nobo"),
        ("POST", "/v1/models/pair/versions/2:predict", 404, "request: Specific(pair, 2)"),
        ("POST", "/v1/models/..%2F..%2Fetc:predict", 404, "request: Latest(../../etc)"),
        ("POST", "/v1/models/%00%ff:predict", 404, "Servable not found for request"),
        ("POST", "/v1/models/pair/labels/x:predict", 400, "Unrecognized servable version label: x"),
    ],
)
def test_wrong_models_and_versions(rest, verb, path, status, error):
    found, body = rest(verb, path, BODY if verb == "POST" else None)
    assert found == status and list(body) == ["error"] and error in body["error"]


def test_outside_of_v1_is_404_in_html(server):
    for path in ("/", "/v2/models/pair", "/v1", "/monitoring/prometheus/metrics"):
        status, text, headers = answer(server, "GET", path)
        assert status == 404 and headers.get_content_type() == "text/html"
        assert text.startswith(b"<!DOCTYPE html>")


def test_cors_is_off_and_options_wants_an_origin(server):
    for origin, status in (("https://x.org", 200), ("http://x.org", 200), ("x", 400), ("", 400)):
        path = "/v1/models/pair:predict"
        found, text, headers = answer(server, "OPTIONS", path, headers={"Origin": origin})
        assert (found, text) == (status, b"")
        assert "Access-Control-Allow-Origin" not in headers
    assert "Access-Control-Allow-Origin" not in answer(server, "GET", "/v1/models/pair")[2]


def test_cors_by_flag_is_on_every_reply(flagged):
    origin = {"Origin": "https://x.org"}
    replies = [
        answer(flagged, "OPTIONS", "/v1/models/pair:predict", headers=origin),
        answer(flagged, "GET", "/v1/models/pair"),
        answer(flagged, "GET", "/v1/models/nobody"),
        answer(flagged, "GET", "/nothing"),
    ]
    assert [reply[0] for reply in replies] == [200, 200, 404, 404]
    for _, _, headers in replies:
        assert headers["Access-Control-Allow-Origin"] == "*"
        assert headers["Access-Control-Allow-Methods"] == "POST, GET"
        assert headers["Access-Control-Allow-Headers"] == "Content-Type"


def test_status_by_code():
    listed = {
        400: "INVALID_ARGUMENT FAILED_PRECONDITION OUT_OF_RANGE",
        401: "UNAUTHENTICATED",
        403: "PERMISSION_DENIED",
        404: "NOT_FOUND",
        409: "ALREADY_EXISTS ABORTED",
        429: "RESOURCE_EXHAUSTED",
        499: "CANCELLED",
        501: "UNIMPLEMENTED",
        503: "UNAVAILABLE",
        504: "DEADLINE_EXCEEDED",
        500: "UNKNOWN INTERNAL DATA_LOSS",
    }
    for status, names in listed.items():
        for name in names.split():
            assert HTTP_STATUS.get(grpc.StatusCode[name], 500) == status


def test_the_content_type_of_requests_is_ignored_and_replies_are_plain_json(server):
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""):
        headers = {"Content-Type": kind, "Accept-Encoding": "gzip"}
        path = "/v1/models/pair:predict"
        status, text, headers = answer(server, "POST", path, json.dumps(BODY), headers)
        assert (status, json.loads(text)) == (200, ROWS)
        assert headers["Content-Type"] == "application/json"
        assert "Content-Encoding" not in headers


def test_chunked_bodies_keep_alive_and_100_continue(server):
    content, path = json.dumps(BODY).encode(), "/v1/models/pair:predict"
    connection = http.client.HTTPConnection("localhost", server.rest_api_port, timeout=20)
    connection.connect()
    kept = connection.sock
    for body, headers in (
        (content, {}),
        ((content[i : i + 7] for i in range(0, len(content), 7)), {}),
        (content, {"Expect": "100-continue"}),
    ):
        connection.request("POST", path, body, headers)
        assert json.loads(connection.getresponse().read()) == ROWS
        assert connection.sock is kept
    connection.close()


def test_gzip_bodies_are_unpacked_and_other_encodings_are_not(rest):
    content, path = json.dumps(BODY).encode(), "/v1/models/pair:predict"
    for name in ("gzip", "GZIP"):
        packed = gzip.compress(content)
        assert rest("POST", path, packed, {"Content-Encoding": name}) == (200, ROWS)
    assert rest("POST", path, content, {"Content-Encoding": "br"}) == (200, ROWS)
    status, body = rest("POST", path, gzip.compress(content))
    assert status == 400 and body["error"].startswith("JSON Parse error")
    # TensorFlow Serving takes what it cannot unpack for an empty body; this says what is wrong.
    for broken in (content, gzip.compress(content)[:-8]):
        status, body = rest("POST", path, broken, {"Content-Encoding": "gzip"})
        assert status == 400 and "gzip data" in body["error"]


def test_the_time_limit_is_504_and_stops_the_work(flagged, asking):
    body = {"signature_name": "work", "instances": [2_000_000_000]}
    status, reply = asking["rest"](
        flagged.rest_api_port, "POST", "/v1/models/failing:predict", body
    )
    assert (status, reply) == (504, {"error": "Timed out after 0.5 s"})
    (version,) = flagged.manager.models["failing"].available()
    for _ in range(100):
        if not version.users:
            return
        time.sleep(0.05)
    raise AssertionError("the work goes on")


def test_an_op_that_fails_tells_its_message_and_nothing_of_the_server(rest, models):
    status, body = rest("POST", "/v1/models/failing:predict", {"instances": [7.0]})
    assert status == 400 and "x is five or more" in body["error"]
    for secret in (str(models), "Traceback", 'File "', ".py"):
        assert secret not in body["error"]
