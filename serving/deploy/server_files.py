"""The files that TensorFlow Serving reads, in protobuf's text format, and its flags."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from google.protobuf.text_encoding import CEscape

from ..client_tensors import TensorInfo
from .exports import ServedExport

MAX_BATCH_SIZE = 32
METRICS = "/monitoring/prometheus/metrics"


def server_files(exports: Sequence[ServedExport], cpus: int) -> dict[str, str]:
    """`models.config`, `monitoring.config`, and `batching.config` where batches can be made."""
    files = {"models.config": models_config(exports), "monitoring.config": monitoring_config()}
    if batches(exports):
        files["batching.config"] = batching_config(exports, cpus)
    return files


def batches(exports: Sequence[ServedExport]) -> bool:
    """Whether every signature can be batched: TensorFlow Serving batches all models or none."""
    return not any(export.unbatchable for export in exports)


def server_flags(exports: Sequence[ServedExport], cpus: int) -> list[str]:
    """The arguments of `tensorflow_model_server`, its files in /config."""
    flags = [
        "--port=8500",
        "--rest_api_port=8501",
        "--model_config_file=/config/models.config",
        "--model_config_file_poll_wait_seconds=60",
        "--monitoring_config_file=/config/monitoring.config",
        "--enable_grpc_healthcheck_service=true",
        # Else as many threads as the machine has cores, whatever share of them is ours.
        f"--tensorflow_intra_op_parallelism={cpus}",
        f"--tensorflow_inter_op_parallelism={cpus}",
    ]
    if batches(exports):
        flags += ["--enable_batching=true", "--batching_parameters_file=/config/batching.config"]
    return flags


def models_config(exports: Sequence[ServedExport]) -> str:
    """The models, their newest version, and as comments what they answer."""
    lines = [
        "# Models of TensorFlow Serving. The newest version of each is served; a new one is loaded",
        "# and warmed before the old one leaves.",
        "model_config_list {",
    ]
    for export in exports:
        warmup = f"{export.warmup} requests" if export.warmup else "none, so first requests wait"
        lines += [
            f"  # Version {export.version}, TensorFlow {export.tensorflow}, warm-up: {warmup}.",
            *(f"  # {line}" for line in _signature_lines(export)),
            "  config {",
            f"    name: {quoted(export.name)}",
            f"    base_path: {quoted(f'/models/{export.name}')}",
            '    model_platform: "tensorflow"',
            "    model_version_policy { latest { num_versions: 1 } }",
            "  }",
        ]
    return "\n".join([*lines, "}", ""])


def batching_config(exports: Sequence[ServedExport], cpus: int) -> str:
    """Batches of up to 32 rows."""
    sizes = [1 << power for power in range(MAX_BATCH_SIZE.bit_length())]
    lines = [
        "# How requests that come at about the same time become one batch. Raise the time-out for",
        "# throughput, lower it for latency.",
        f"max_batch_size {{ value: {MAX_BATCH_SIZE} }}",
        "batch_timeout_micros { value: 2000 }",
        "max_enqueued_batches { value: 100 }",
        f"num_batch_threads {{ value: {cpus} }}",
        *(f"allowed_batch_sizes: {size}" for size in sizes),
    ]
    variable = [f"{export.name}: {', '.join(export.variable)}" for export in exports]
    variable = [line for line, export in zip(variable, exports, strict=True) if export.variable]
    if variable:
        lines += [
            "# Rows of numbers or words may differ in length from request to request:",
            *(f"#   {quoted(line)[1:-1]}" for line in variable),
            "# Of such requests in one batch TensorFlow Serving pads the shorter ones with copies",
            "# of their FIRST value, which is no padding to these models (a mask would say True).",
            "# So it stays off: requests of unlike lengths are refused with FAILED_PRECONDITION",
            "# instead of answered wrongly. Whole sentences batch freely.",
        ]
    return "\n".join([*lines, "pad_variable_length_inputs: false", ""])


def monitoring_config() -> str:
    """Metrics for Prometheus, on the REST port."""
    return f'prometheus_config {{\n  enable: true\n  path: "{METRICS}"\n}}\n'


def quoted(text: str) -> str:
    """A string of protobuf's text format.

    Example:
    >>> quoted('a "b"')
    '"a \\\\"b\\\\""'
    """
    escape: Any = CEscape  # annotated for bytes, but takes str, too
    return f'"{escape(text, True)}"'


def _signature_lines(export: ServedExport) -> list[str]:
    return [
        f"{quoted(name)[1:-1]}: {_tensors(sides['inputs'])} -> {_tensors(sides['outputs'])}"
        for name, sides in export.signatures.items()
    ]


def _tensors(infos: Mapping[str, TensorInfo]) -> str:
    return ", ".join(f"{quoted(name)[1:-1]} {_shape(info)}" for name, info in infos.items())


def _shape(info: TensorInfo) -> str:
    if info.shape is None:
        return info.dtype
    return f"{info.dtype}[{', '.join('?' if size is None else str(size) for size in info.shape)}]"
