"""Warm-up requests inside an export: the first client should not pay for lazy initialization."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import tensorflow as tf
from google.protobuf.message import DecodeError

from .protos import PredictionLog, PredictRequest

# TensorFlow Serving's place and limit.
WARMUP_FILE = Path("assets.extra") / "tf_serving_warmup_requests"
MAX_RECORDS = 1000


def write_warmup(
    version_dir: str | Path, requests: Iterable[tuple[str, Mapping[str, Any]]], model: str
) -> Path:
    """Writes requests that a server runs before it makes a version available.

    Args:
        version_dir: the folder of one version, `MODEL/1`.
        requests: pairs of a signature name and its inputs by name.
        model: name of the model in the records (servers do not look at it).

    Returns:
        The path of the file, a TFRecord of `PredictionLog`.

    Raises:
        ValueError: if there are more requests than a server accepts.

    Example:
    >>> import tempfile
    >>> folder = tempfile.mkdtemp()
    >>> _ = write_warmup(folder, [("serving_default", {"sentences": ["A bank ."]})], model="elmo")
    >>> [log.predict_log.request.model_spec.name for log in read_warmup(folder)]
    ['elmo']
    """
    logs = []
    for signature, inputs in requests:
        request = PredictRequest()
        request.model_spec.name = model
        request.model_spec.signature_name = signature
        for name, value in inputs.items():
            request.inputs[name].CopyFrom(tf.make_tensor_proto(value))
        log = PredictionLog()
        log.predict_log.request.CopyFrom(request)
        logs.append(log.SerializeToString())
    if len(logs) > MAX_RECORDS:
        raise ValueError(
            f"`requests` must be at most {MAX_RECORDS}, as servers refuse more. "
            f"Received: {len(logs)} requests"
        )
    path = Path(version_dir) / WARMUP_FILE
    path.parent.mkdir(parents=True, exist_ok=True)
    with tf.io.TFRecordWriter(str(path)) as writer:
        for log in logs:
            writer.write(log)
    return path


def read_warmup(version_dir: str | Path) -> Iterator[Any]:
    """Yields the warm-up records of a version, each a `PredictionLog`; nothing if it has none.

    Raises:
        ValueError: if the file is not a TFRecord of `PredictionLog` or has too many records.
    """
    path = Path(version_dir) / WARMUP_FILE
    if not path.exists():
        return
    records = tf.data.TFRecordDataset(str(path)).as_numpy_iterator()
    for count in range(MAX_RECORDS + 1):
        try:
            record = next(records, None)
            if record is None:
                return
            log = PredictionLog.FromString(record)
        except (tf.errors.DataLossError, DecodeError) as error:
            raise ValueError(
                f"`{path}` must be a TFRecord of PredictionLog. Received: record {count}, "
                f"which cannot be read ({type(error).__name__})"
            ) from error
        if count == MAX_RECORDS:
            raise ValueError(
                f"`{path}` must have at most {MAX_RECORDS} records. Received: more than that"
            )
        yield log
