"""Distribution strategies by name."""

from __future__ import annotations

import functools
import json
import os
from collections.abc import Callable, Mapping

import tensorflow as tf

from .overrides import nearest

STRATEGIES = ("auto", "one_device", "mirrored", "multi_worker", "tpu")


def build_strategy(name: str) -> tf.distribute.Strategy | None:
    """Returns the strategy of a name, or None for one device (Keras then needs no strategy).

    "auto" is "multi_worker" where `TF_CONFIG` names a cluster of several workers, "mirrored" where
    there are several GPUs, else "one_device". "mirrored" takes all GPUs, or all logical CPU devices
    where there is no GPU. A multi-worker strategy connects the cluster, so it must be made before
    anything else runs on TensorFlow.

    Raises:
        ValueError: an unknown name, no cluster in `TF_CONFIG` for "multi_worker", a `TF_CONFIG`
            that is no JSON object or whose cluster is none, no TPU for "tpu".

    Example:
    >>> build_strategy("one_device") is None
    True
    """
    if name not in STRATEGIES:
        raise ValueError(
            "`trainer.strategy` must be one of "
            f"{', '.join(STRATEGIES)}{nearest(name, STRATEGIES)}. "
            f"Received: strategy={name!r}."
        )
    if name == "auto":
        name = _automatic()
    if name == "one_device":
        return None
    if name == "mirrored":
        gpus = tf.config.list_logical_devices("GPU")
        devices = gpus or tf.config.list_logical_devices("CPU")
        return tf.distribute.MirroredStrategy([device.name for device in devices])
    if name == "multi_worker":
        if _num_workers() == 0:
            raise ValueError(
                "`trainer.strategy` must have a cluster in the environment variable TF_CONFIG to "
                'be "multi_worker", such as '
                '{"cluster": {"worker": ["host1:2222", "host2:2222"]}, '
                '"task": {"type": "worker", "index": 0}}. '
                f"Received: TF_CONFIG={os.environ.get('TF_CONFIG')!r}."
            )
        return tf.distribute.MultiWorkerMirroredStrategy()
    try:
        resolver = tf.distribute.cluster_resolver.TPUClusterResolver()
        tf.config.experimental_connect_to_cluster(resolver)
        tf.tpu.experimental.initialize_tpu_system(resolver)
    except (ValueError, tf.errors.OpError) as error:
        raise ValueError(
            '`trainer.strategy` must have a TPU to be "tpu" (environment variable TPU_NAME). '
            f"Received: TPU_NAME={os.environ.get('TPU_NAME')!r}: {str(error).splitlines()[0]}"
        ) from error
    return tf.distribute.TPUStrategy(resolver)


def is_chief(strategy: tf.distribute.Strategy | None) -> bool:
    """Whether this process writes the files of a run: the first worker, or the only process."""
    resolver = strategy.cluster_resolver if strategy is not None else None
    if resolver is None or resolver.task_type is None:
        return True
    return resolver.task_type == "chief" or (
        resolver.task_type == "worker"
        and resolver.task_id == 0
        and "chief" not in resolver.cluster_spec().jobs
    )


def speaker(chief: bool) -> Callable[[str], None]:
    """What prints a line, of the chief; the other workers say nothing."""
    return functools.partial(print, flush=True) if chief else _say_nothing


def _say_nothing(text: str) -> None:
    """What a worker that is not the chief prints."""


def mean_over_workers(
    strategy: tf.distribute.Strategy | None, values: Mapping[str, float]
) -> dict[str, float]:
    """Returns the mean over all workers of each value; without several workers, the values.

    Waits for all workers, so it is a barrier too.
    """
    if not isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy):
        return dict(values)
    numbers = tf.constant(list(values.values()), tf.float64)
    return dict(zip(values, _mean_function(strategy)(numbers).numpy().tolist(), strict=True))


@functools.lru_cache(maxsize=1)
def _mean_function(strategy: tf.distribute.Strategy):
    """Returns a compiled function (N,) → (N,), the mean over the workers; traced once."""

    @tf.function(reduce_retracing=True)
    def mean(numbers):
        def replica(numbers):
            context = tf.distribute.get_replica_context()
            # The copy lies on the replica's device, where the reduction must find it.
            return context.all_reduce(tf.distribute.ReduceOp.MEAN, tf.identity(numbers))

        return strategy.experimental_local_results(strategy.run(replica, args=(numbers,)))[0]

    return mean


def describe_hardware() -> str:
    """Returns what TensorFlow computes on: "2 CPU cores" or "1 × NVIDIA H100"."""
    gpus = tf.config.list_physical_devices("GPU")
    if gpus:
        names = [tf.config.experimental.get_device_details(gpu).get("device_name") for gpu in gpus]
        return f"{len(gpus)} × {names[0] or 'GPU'}"
    return f"{len(os.sched_getaffinity(0))} CPU cores"


def _automatic() -> str:
    if _num_workers() > 1:
        return "multi_worker"
    if len(tf.config.list_logical_devices("GPU")) > 1:
        return "mirrored"
    return "one_device"


def _num_workers() -> int:
    """Returns the workers that TF_CONFIG names, 0 where it names none."""
    text = os.environ.get("TF_CONFIG") or "{}"
    try:
        cluster = json.loads(text).get("cluster", {})
        jobs = [cluster.get(job, []) for job in ("worker", "chief")]
    except (ValueError, AttributeError) as error:  # no JSON, or no object
        raise ValueError(
            "The environment variable TF_CONFIG must hold a JSON object, whose `cluster` is one "
            f"too, or not be set. Received: TF_CONFIG={text!r} ({error})."
        ) from error
    for addresses in jobs:
        if not isinstance(addresses, list) or not all(isinstance(x, str) for x in addresses):
            raise ValueError(
                "The environment variable TF_CONFIG must list the addresses of each job of its "
                f"cluster. Received: TF_CONFIG={text!r}."
            )
    return sum(map(len, jobs))
