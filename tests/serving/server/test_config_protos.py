"""Configuration files: what they say, and what is said of their mistakes."""

import re

import pytest

from polysemy.serving.protos import ModelServerConfig
from polysemy.serving.server.config_protos import (
    BatchingParameters,
    MonitoringConfig,
    SSLConfig,
    read_text_proto,
)


@pytest.fixture
def read(tmp_path):
    def from_text(text, message):
        path = tmp_path / "file.config"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return read_text_proto(path, message)

    return from_text


def test_batching_parameters(read):
    text = """
    # as in TensorFlow Serving's documentation
    max_batch_size { value: 128 }
    batch_timeout_micros { value: 0 }
    max_enqueued_batches { value: 1000000 }
    num_batch_threads { value: 8 }
    thread_pool_name { value: "batch" }
    allowed_batch_sizes: [8, 32]
    allowed_batch_sizes: 128
    pad_variable_length_inputs: true
    enable_large_batch_splitting { value: true }
    max_execution_batch_size { value: 64 }
    """
    batching = read(text, BatchingParameters())
    assert batching.max_batch_size.value == 128 and batching.num_batch_threads.value == 8
    assert batching.HasField("batch_timeout_micros")
    assert not read("", BatchingParameters()).HasField("batch_timeout_micros")
    assert list(batching.allowed_batch_sizes) == [8, 32, 128]
    assert batching.thread_pool_name.value == "batch" and batching.pad_variable_length_inputs
    assert batching.enable_large_batch_splitting.value
    assert batching.max_execution_batch_size.value == 64


def test_monitoring_and_ssl(read):
    config = read('prometheus_config { enable: true, path: "/m" }', MonitoringConfig())
    assert config.prometheus_config.enable and config.prometheus_config.path == "/m"
    ssl = read("server_key: 'a\\n' 'b' server_cert: 'c' client_verify: true", SSLConfig())
    assert (ssl.server_key, ssl.server_cert, ssl.client_verify) == ("a\nb", "c", True)


def test_model_server_config(read):
    text = """
    model_config_list {
      config {
        name: "elmo"
        base_path: "/models/elmo"
        model_platform: "tensorflow"
        model_version_policy { specific { versions: 42 versions: 43 } }
        version_labels { key: "stable" value: 42 }
      }
      config { name: "bert" base_path: "/models/bert" model_type: TENSORFLOW }
    }
    """
    elmo, bert = read(text, ModelServerConfig()).model_config_list.config
    assert list(elmo.model_version_policy.specific.versions) == [42, 43]
    assert dict(elmo.version_labels) == {"stable": 42} and bert.model_type == 1


@pytest.mark.parametrize(
    ("text", "line", "why"),
    [
        ("max_batch_size { value: 1 }\nmax_batchsize { value: 1 }", ":2", "no field named"),
        ("\n\nmax_batch_size { value: 'many' }", ":3", "Couldn't parse integer: 'many'"),
        ("max_batch_size {", ":1", "Expected"),
        ("max_batch_size: 128", ":1", "Expected"),
        (b"\xff\xfe\x00", "", "not UTF-8"),
    ],
)
def test_mistakes_are_named_in_one_line(read, text, line, why):
    with pytest.raises(ValueError) as caught:
        read(text, BatchingParameters())
    message = str(caught.value)
    assert re.match(rf"`.*file\.config{line}` must be ", message)
    assert why in message and "\n" not in message


def test_a_file_that_is_not_there(tmp_path):
    for path in (tmp_path / "none", tmp_path):
        with pytest.raises(ValueError, match="must be a readable text file. Received: "):
            read_text_proto(path, SSLConfig())
