"""Every flag of the server: TensorFlow Serving's, by its names and defaults, and a few of ours.

Imports nothing but the standard library: the command line's help must not wait for TensorFlow.
"""

from __future__ import annotations

import math
import os
from dataclasses import MISSING, dataclass, field, fields
from typing import Any

OURS = "Polysemy's own"


LARGEST_PORT = 65_535


def _flag(
    default: Any,
    help: str,
    group: str = "TensorFlow Serving's",
    effect: bool = True,
    least: float | None = None,
    most: float | None = None,
) -> Any:
    metadata = {"help": help, "group": group, "effect": effect, "least": least, "most": most}
    return field(default=default, metadata=metadata)


def _idle(default: Any, help: str) -> Any:
    """A flag of TensorFlow Serving that changes nothing here; using it is reported, not refused."""
    return _flag(default, help, "Accepted without effect", effect=False)


def _count(default: float, help: str, group: str = "TensorFlow Serving's", least: int = 0) -> Any:
    return _flag(default, help, group, least=least)


def _threads(help: str) -> Any:
    return field(
        default_factory=lambda: 4 * (os.cpu_count() or 1),
        metadata={
            "help": help,
            "group": "TensorFlow Serving's",
            "effect": True,
            "least": 1,
            "most": None,
        },
    )


@dataclass(frozen=True)
class ServerOptions:
    """How a server is to run: one attribute a flag, under the flag's name.

    The defaults are TensorFlow Serving's. `flags.parse_flags` reads them from a command line.

    Raises:
        ValueError: if a number is out of its range.

    Example:
    >>> options = ServerOptions(model_base_path="/models/elmo", enable_batching=True)
    >>> options.port, options.rest_api_port, options.model_name
    (8500, 0, 'default')
    """

    # Where requests come in.
    port: int = _flag(
        8500, "Port of gRPC; 0: none, if there is a socket.", least=0, most=LARGEST_PORT
    )
    grpc_socket_path: str = _flag("", "Unix socket for gRPC, beside or instead of the port.")
    grpc_max_threads: int = _threads("Threads that answer gRPC. [4 a CPU]")
    grpc_channel_arguments: str = _flag("", "For gRPC's core: NAME=VALUE,NAME=VALUE.")
    rest_api_port: int = _flag(
        0, "Port of REST; 0: none. [8501 with a directory; -1: none]", least=-1, most=LARGEST_PORT
    )
    rest_api_num_threads: int = _threads("Threads that answer REST. [4 a CPU]")
    rest_api_timeout_in_ms: int = _count(30000, "Longest time of a REST request.", least=1)
    rest_api_enable_cors_support: bool = _flag(False, "CORS headers on REST replies.")
    ssl_config_file: str = _flag("", "Text proto SSLConfig: TLS on the gRPC port.")
    enable_grpc_healthcheck_service: bool = _flag(False, "Serve grpc.health.v1.Health.")
    # What is served.
    model_name: str = _flag("default", "Name of the only model.")
    model_base_path: str = _flag("", "Folder of the only model, with numbered versions in it.")
    model_config_file: str = _flag("", "Text proto ModelServerConfig: several models, policies.")
    model_config_file_poll_wait_seconds: int = _count(0, "Read that file anew so often; 0: never.")
    file_system_poll_wait_seconds: int = _count(
        1, "List the base paths so often; 0: once at the start."
    )
    allow_version_labels_for_unavailable_models: bool = _flag(
        False, "Labels that are not in use may point to versions that are not loaded."
    )
    saved_model_tags: str = _flag("serve", "Comma-separated tags of the graph to load.")
    # How versions come and go.
    num_load_threads: int = _count(0, "Threads that load versions; 0: two.")
    num_unload_threads: int = _count(0, "Threads that free versions; 0: one.")
    max_num_load_retries: int = _count(5, "Further tries after a load that failed.")
    load_retry_interval_micros: int = _count(60_000_000, "Pause between those tries.")
    enable_model_warmup: bool = _flag(True, "Run a version's warm-up requests before it serves.")
    num_request_iterations_for_warmup: int = _count(
        0, "Run each warm-up request so many times; 0: once."
    )
    # How requests are answered.
    enable_batching: bool = _flag(False, "Run requests of several clients together.")
    batching_parameters_file: str = _flag("", "Text proto BatchingParameters.")
    enable_per_model_batching_parameters: bool = _flag(
        False, "Batch only models with a batching_params.pbtxt in the version folder."
    )
    monitoring_config_file: str = _flag("", "Text proto MonitoringConfig: metrics for Prometheus.")
    enable_signature_method_name_check: bool = _flag(
        False, "Refuse signatures whose method_name belongs to another call."
    )
    enable_serialization_as_tensor_content: bool = _flag(
        False, "Reply with tensor_content in place of typed values."
    )
    tensorflow_session_parallelism: int = _count(0, "Threads inside and between ops; 0: automatic.")
    tensorflow_intra_op_parallelism: int = _count(0, "Threads inside an op; 0: automatic.")
    tensorflow_inter_op_parallelism: int = _count(0, "Threads between ops; 0: automatic.")
    version: bool = _flag(False, "Print the version and end.")
    # Settings of parts that TensorFlow Serving has and this server has not.
    flush_filesystem_caches: bool = _idle(True, "Files are not cached.")
    use_alts_credentials: bool = _idle(False, "ALTS exists on Google Cloud only.")
    enable_profiler: bool = _idle(True, "There is no ProfilerService.")
    platform_config_file: str = _idle("", "Models are SavedModels.")
    tensorflow_session_config_file: str = _idle("", "There is no session.")
    per_process_gpu_memory_fraction: float = _idle(0.0, "TensorFlow decides.")
    mixed_precision: str = _idle("", "The exported types are kept.")
    prefer_tflite_model: bool = _idle(False, "There is no TFLite.")
    num_tflite_pools: int = _idle(os.cpu_count() or 1, "There is no TFLite.")
    num_tflite_interpreters_per_pool: int = _idle(1, "There is no TFLite.")
    thread_pool_factory_config_file: str = _idle("", "TensorFlow's own pools are used.")
    remove_unused_fields_from_bundle_metagraph: bool = _idle(True, "They are dropped at loading.")
    xla_cpu_compilation_enabled: bool = _idle(False, "The exported functions decide.")
    xla_gpu_compilation_enabled: bool = _idle(False, "The exported functions decide.")
    skip_initialize_tpu: bool = _idle(False, "No TPU is used.")
    # What TensorFlow Serving has no flag for.
    directory: str = _flag("", "Serve each model folder in this one, new ones too.", OURS)
    free_ports: bool = _flag(
        False, "Port 0 means any free port, on both protocols. [true with a directory]", OURS
    )
    strict_start: bool = _flag(
        False, "End if any model cannot be loaded at the start, not only if none can.", OURS
    )
    shutdown_grace_seconds: float = _count(
        25.0, "After SIGTERM, wait so long for requests being answered.", OURS
    )
    enable_grpc_reflection: bool = _flag(False, "Serve gRPC reflection, for grpcurl.", OURS)
    max_queued_requests: int = _count(1000, "Refuse requests when so many wait already.", OURS)
    max_tensor_bytes: int = _count(2**31 - 1, "Refuse larger input tensors.", OURS, least=1)
    max_json_depth: int = _count(100, "Refuse JSON nested deeper than this.", OURS, least=1)
    access_log: str = _flag("", "File for one JSON line a request; - is stderr; empty: none.", OURS)

    def __post_init__(self) -> None:
        for flag in fields(self):
            value, least, most = getattr(self, flag.name), *_range(flag)
            if least is not None and not least <= value <= most:
                rule = f"at least {least}" if most == math.inf else f"from {least} to {most}"
                raise ValueError(f"`--{flag.name}` must be {rule}. Received: --{flag.name}={value}")


def _range(flag: Any) -> tuple[float | None, float]:
    most = flag.metadata["most"]
    return flag.metadata["least"], math.inf if most is None else most


def flag_help() -> list[tuple[str, list[tuple[str, str]]]]:
    """The flags and what they do, for a help page: by group, as (`--name=default`, text).

    Example:
    >>> group, rows = flag_help()[0]
    >>> group, rows[0]
    ("TensorFlow Serving's", ('--port=8500', 'Port of gRPC; 0: none, if there is a socket.'))
    """
    groups: dict[str, list[tuple[str, str]]] = {}
    for flag in fields(ServerOptions):
        default = "" if flag.default is MISSING else flag.default
        shown = str(default).lower() if flag.type == "bool" else str(default)
        rows = groups.setdefault(flag.metadata["group"], [])
        rows.append((f"--{flag.name}={shown}", flag.metadata["help"]))
    return list(groups.items())
