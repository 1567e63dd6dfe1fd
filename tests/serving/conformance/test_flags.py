"""SERVING.md section 13, row by row: flags, their defaults, and what stops the start."""

import logging
import os
import socket
from dataclasses import asdict
from pathlib import Path

import pytest

from polysemy.serving.server import Server, ServerOptions
from polysemy.serving.server.flags import parse_flags
from polysemy.serving.server.model_config import configured_models
from polysemy.serving.server.options import OURS, flag_help
from polysemy.serving.server.reloading import ConfigReloader

CPUS = os.cpu_count() or 1
DEFAULTS = {
    "port": 8500,
    "rest_api_port": 0,
    "grpc_socket_path": "",
    "rest_api_num_threads": 4 * CPUS,
    "grpc_max_threads": 4 * CPUS,
    "rest_api_timeout_in_ms": 30000,
    "grpc_channel_arguments": "",
    "rest_api_enable_cors_support": False,
    "model_name": "default",
    "model_base_path": "",
    "model_config_file": "",
    "model_config_file_poll_wait_seconds": 0,
    "file_system_poll_wait_seconds": 1,
    "allow_version_labels_for_unavailable_models": False,
    "num_load_threads": 0,
    "num_unload_threads": 0,
    "max_num_load_retries": 5,
    "load_retry_interval_micros": 60000000,
    "flush_filesystem_caches": True,
    "enable_batching": False,
    "batching_parameters_file": "",
    "enable_per_model_batching_parameters": False,
    "monitoring_config_file": "",
    "enable_model_warmup": True,
    "num_request_iterations_for_warmup": 0,
    "ssl_config_file": "",
    "use_alts_credentials": False,
    "enable_grpc_healthcheck_service": False,
    "enable_profiler": True,
    "enable_signature_method_name_check": False,
    "enable_serialization_as_tensor_content": False,
    "saved_model_tags": "serve",
    "platform_config_file": "",
    "tensorflow_session_parallelism": 0,
    "tensorflow_intra_op_parallelism": 0,
    "tensorflow_inter_op_parallelism": 0,
    "tensorflow_session_config_file": "",
    "per_process_gpu_memory_fraction": 0.0,
    "mixed_precision": "",
    "prefer_tflite_model": False,
    "num_tflite_pools": CPUS,
    "num_tflite_interpreters_per_pool": 1,
    "thread_pool_factory_config_file": "",
    "remove_unused_fields_from_bundle_metagraph": True,
    "xla_cpu_compilation_enabled": False,
    "xla_gpu_compilation_enabled": False,
    "skip_initialize_tpu": False,
    "version": False,
}


@pytest.mark.parametrize("flag", DEFAULTS)
def test_names_and_defaults(flag):
    """The table of flags and defaults"""
    assert getattr(parse_flags([]), flag) == DEFAULTS[flag]


def test_there_are_no_other_flags_but_ours():
    ours = {row[0].partition("=")[0] for row in dict(flag_help())[OURS]}
    assert set(asdict(ServerOptions())) == set(DEFAULTS) | {name[2:] for name in ours}


@pytest.mark.parametrize(
    ("word", "flag", "value"),
    [
        ("--port=9000", "port", 9000),
        ("--model_base_path=/m/a=b", "model_base_path", "/m/a=b"),
        ("--enable_batching", "enable_batching", True),
        ("--enable_batching=true", "enable_batching", True),
        ("--enable_model_warmup=false", "enable_model_warmup", False),
        ("--enable_model_warmup=0", "enable_model_warmup", False),
        ("--per_process_gpu_memory_fraction=0.5", "per_process_gpu_memory_fraction", 0.5),
    ],
)
def test_syntax(word, flag, value):
    """Flags (`--name=value`; booleans may stand bare)"""
    assert getattr(parse_flags([word]), flag) == value


def test_the_value_of_a_boolean_may_be_the_next_word():
    """Ours: no directory is meant by true or false; any other word is one."""
    options = parse_flags(["--enable_batching", "true", "--enable_model_warmup", "False", "models"])
    assert options.enable_batching and not options.enable_model_warmup
    assert options.directory == "models"
    options = parse_flags(["--enable_batching", "models"])
    assert options.enable_batching and options.directory == "models"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--port=http"], "`--port` must be an integer. Received: --port=http"),
        (["--enable_batching=maybe"], "`--enable_batching` must be true or false"),
        (["--per_process_gpu_memory_fraction=x"], "must be a number"),
        (["--model_name"], "`--model_name` must have a value"),
        (["--port=99999"], "`--port` must be from 0 to 65535. Received: --port=99999"),
        (["--port=-1"], "`--port` must be from 0 to 65535"),
        (["--rest_api_port=65536"], "`--rest_api_port` must be from -1 to 65535"),
        (["--grpc_max_threads=0"], "`--grpc_max_threads` must be at least 1"),
        (["--rest_api_num_threads=0"], "`--rest_api_num_threads` must be at least 1"),
        (["--rest_api_timeout_in_ms=0"], "`--rest_api_timeout_in_ms` must be at least 1"),
        (["--num_load_threads=-1"], "`--num_load_threads` must be at least 0"),
        (["--max_json_depth=0"], "`--max_json_depth` must be at least 1"),
        (["--shutdown_grace_seconds=-0.5"], "`--shutdown_grace_seconds` must be at least 0"),
        (["--shutdown_grace_seconds=nan"], "`--shutdown_grace_seconds` must be at least 0"),
    ],
)
def test_wrong_values(words, message):
    with pytest.raises(ValueError, match=message):
        parse_flags(words)


def test_unknown_arguments_are_reported_and_ignored(caplog):
    """Unknown arguments are reported and ignored."""
    caplog.set_level(logging.WARNING, "polysemy")
    options = parse_flags(["--modelname=x", "-v", "--port=1", "--mixed_precision=bfloat16"])
    assert options.port == 1 and options.mixed_precision == "bfloat16"
    assert [record.getMessage() for record in caplog.records] == [
        "--mixed_precision has no effect here. The exported types are kept.",
        "unknown argument, ignored: --modelname=x; did you mean --model_name?",
        "unknown argument, ignored: -v",
    ]


def test_unknown_arguments_beside_a_directory_are_refused():
    with pytest.raises(ValueError, match="Unknown argument: --prot=9000; did you mean --port?"):
        parse_flags(["models", "--prot=9000"])


def write(lab, name, text):
    path = lab.root / name
    path.write_text(text)
    return str(path)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "`directory`, `model_base_path` or `model_config_file` must be given"),
        (
            {"directory": "pair", "model_base_path": "pair"},
            "`directory` must not come with `model_base_path`",
        ),
        ({"model_config_file": "/no/such/file"}, "`/no/such/file` must be a readable text file"),
        ({"model_config_file": "garbage"}, r"garbage:1` must be a text proto"),
        ({"model_base_path": "pair", "port": 0}, "`port` must be given, or `grpc_socket_path`"),
        (
            {"model_base_path": "pair", "batching_parameters_file": "garbage"},
            "`batching_parameters_file` must come with `enable_batching`",
        ),
        (
            {
                "model_base_path": "pair",
                "enable_batching": 1,
                "batching_parameters_file": "garbage",
            },
            r"garbage:1` must be a text proto tensorflow.serving.BatchingParameters",
        ),
        ({"model_base_path": "pair", "monitoring_config_file": "garbage"}, "MonitoringConfig"),
        ({"model_base_path": "pair", "ssl_config_file": "garbage"}, "SSLConfig"),
        ({"model_base_path": "pair", "ssl_config_file": "empty"}, "`server_key` of .* PEM text"),
        ({"model_base_path": "pair", "use_alts_credentials": True}, "must be false here"),
        ({"model_base_path": "pair", "grpc_channel_arguments": "a=1,b"}, "NAME=VALUE,NAME=VALUE"),
        ({"model_base_path": "broken"}, "saved_model.pb must be readable"),
        ({"model_base_path": "empty_folder"}, "model 'default' has no versions"),
        (
            {
                "model_base_path": "pair",
                "tensorflow_session_parallelism": 1,
                "tensorflow_intra_op_parallelism": 1,
                "tensorflow_inter_op_parallelism": 1,
            },
            "`tensorflow_session_parallelism` must not be given together with",
        ),
        (
            {"model_base_path": "pair", "tensorflow_intra_op_parallelism": 1},
            "must be given to a process that has not used TensorFlow yet",
        ),
    ],
)
def test_what_stops_the_start(lab, options, message):
    """The start fails on: neither base path nor config file; unreadable or malformed text proto;
    port 0 without socket; batching file without batching; a model that cannot load. All three
    parallelism flags: start fails"""
    lab.add(1)
    lab.add(1, name="broken", broken=True)
    (lab.root / "empty_folder").mkdir()
    write(lab, "garbage", "nothing of the kind {")
    write(lab, "empty", "")
    given = {
        name: str(lab.root / value) if name.endswith(("_file", "_path")) else value
        for name, value in options.items()
    }
    with socket.socket() as probe:
        probe.bind(("", 0))
        port = probe.getsockname()[1]
    base = {"port": port, "file_system_poll_wait_seconds": 0, "max_num_load_retries": 0}
    server = Server(options=ServerOptions(**{**base, **given}))
    with pytest.raises(ValueError, match=message):
        server.start()
    assert server.manager is None  # nothing is left behind


@pytest.mark.parametrize(("threads", "rest", "is_told"), [(3, 0, 1), (4, 0, 0), (3, -1, 0)])
def test_batches_that_single_rows_cannot_fill_are_told_of(lab, caplog, threads, rest, is_told):
    lab.add(1)
    write(lab, "batching", "max_batch_size { value: 4 } batch_timeout_micros { value: 9 }")
    file = str(lab.root / "batching")
    flags = {"batching_parameters_file": file, "rest_api_num_threads": threads}
    lab.server(lab.config(), enable_batching=True, rest_api_port=rest, **flags)
    told = "batches of 4 fill up only if requests have several rows, and else wait 9 us"
    assert (told in caplog.text) == bool(is_told)


def test_labels_at_the_start(lab):
    """a label on an unloaded version without the flag. (Of a version that loads at the start it is
    fine here: people ask for that.)"""
    lab.add(1)
    label = 'version_labels { key: "stable" value: 1 }'
    server = lab.server(lab.config(text=label))
    assert lab.answering(server.manager, label="stable") == 1
    wrong = lab.config(text='version_labels { key: "stable" value: 7 }')
    with pytest.raises(ValueError, match="Request to assign label to version 7 of model pair"):
        lab.server(wrong)
    flag = {"allow_version_labels_for_unavailable_models": True}
    server = lab.server(wrong, **flag)
    assert lab.answering(server.manager, label="stable")[0] == "NOT_FOUND"


def test_the_config_file_overrides_name_and_path(lab):
    """model_config_file: overrides the two above"""
    lab.add(1)
    lab.add(1, name="other")
    server = lab.server(lab.config(), model_base_path=str(lab.root / "other"), model_name="other")
    assert lab.answering(server.manager) == 1
    assert lab.answering(server.manager, "other")[0] == "NOT_FOUND"


def test_a_configuration_of_the_file_is_checked_as_a_reload(lab):
    wrong = lab.config()
    wrong.base_path = "pair"
    with pytest.raises(ValueError, match="INVALID_ARGUMENT: Expected model pair to have an absol"):
        lab.server(wrong)
    with pytest.raises(ValueError, match="Model pair requests unsupported platform torch"):
        lab.server(lab.config(text='model_platform: "torch"'))
    wrong.base_path = "s3://bucket/pair"
    with pytest.raises(ValueError, match="Expected model pair to be in a local folder"):
        lab.server(wrong)


def test_a_folder_that_cannot_be_listed_stops_no_other(lab, monkeypatch, caplog):
    """Ours: of a directory it is passed over; a model that is served stays as it is."""
    closed = {"lost+found"}
    listed = Path.iterdir

    def iterdir(path):
        if path.name in closed:
            raise PermissionError(13, "Permission denied", str(path))
        return listed(path)

    monkeypatch.setattr(Path, "iterdir", iterdir)
    lab.add(1)
    (lab.root / "lost+found").mkdir()
    options = ServerOptions(directory=str(lab.root))
    manager = lab.manager(*configured_models(options), directory=str(lab.root))
    assert lab.answering(manager) == 1
    closed.add("pair")
    lab.add(3, name="second")
    reloader = ConfigReloader(manager)
    reloader.follow()
    lab.poll(manager)
    assert lab.answering(manager) == 1 and lab.answering(manager, "second") == 3
    assert caplog.text.count(f"{lab.root}/lost+found is passed over: Permission denied") == 1
    closed.add(lab.root.name)
    for _ in range(2):
        reloader.follow()
    assert caplog.text.count("the models stay as they were: [Errno 13]") == 1
    assert lab.answering(lab.poll(manager)) == 1


def test_a_directory_of_models_is_followed(lab):
    """Ours: `--directory` serves every model folder in it, those that come later, too."""
    lab.add(1)
    server = lab.server(directory=str(lab.root), file_system_poll_wait_seconds=0.05)
    lab.add(3, name="second")
    manager = server.manager
    with manager.changed:
        assert manager.changed.wait_for(lambda: manager.is_available("second", 3), 20)
    (lab.root / "second").rename(lab.root.parent / f"{lab.root.name}-gone")
    with manager.changed:
        assert manager.changed.wait_for(lambda: not manager.is_available("second", 3), 20)
    assert lab.answering(manager) == 1
