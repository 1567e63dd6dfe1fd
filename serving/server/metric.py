"""One metric in Prometheus' text format, as TensorFlow Serving prints its own."""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections.abc import Sequence
from itertools import accumulate

MAX_SERIES = 2_000
_MAX_LABEL = 256  # characters of a label that a client has made up


class Metric:
    """A counter or a histogram with labels, safe to use from many threads.

    prometheus-client is not used for it: that library appends `_total` to every counter's name,
    prints `# HELP` lines and sorts `le` among the other labels, and TensorFlow Serving does none
    of these. Dashboards match names and labels to the letter.

    Args:
        name: str. TensorFlow's name; every character but letters, digits and `_` becomes `:`.
        labels: names of the labels, in the order in which they are printed.
        buckets: ascending upper bounds of a histogram, without infinity; None makes a counter.

    Example:
    >>> requests = Metric("/tensorflow/serving/request_count", ["model_name", "status"])
    >>> requests.add(1, "elmo", "OK")
    >>> print("\\n".join(requests.lines()))
    # TYPE :tensorflow:serving:request_count counter
    :tensorflow:serving:request_count{model_name="elmo",status="OK"} 1
    """

    def __init__(
        self, name: str, labels: Sequence[str] = (), buckets: Sequence[float] | None = None
    ) -> None:
        self.name = "".join(c if c.isascii() and c.isalnum() or c == "_" else ":" for c in name)
        self.labels = tuple(labels)
        self.buckets = None if buckets is None else tuple(buckets)
        self._lock = threading.Lock()
        # Of a histogram: one count for each bucket and for infinity, then the sum of all values.
        self._series: dict[tuple[str, ...], list[float]] = {}

    def add(self, value: float, *labels: str, bounded: bool = False) -> None:
        """Counts `value` more, or puts `value` in its bucket.

        Args:
            value: of a counter, the increase; of a histogram, what was measured.
            *labels: str. One value for each label.
            bounded: bool. Whether clients choose the labels: then long ones are cut and, past
                2,000 series, new ones left out, so that nobody fills the memory with names that
                he makes up.
        """
        if bounded:
            labels = tuple(label[:_MAX_LABEL] for label in labels)
        with self._lock:
            series = self._series.get(labels)
            if series is None:
                if bounded and len(self._series) >= MAX_SERIES:
                    return
                size = 1 if self.buckets is None else len(self.buckets) + 2
                series = self._series[labels] = [0] * size
            if self.buckets is not None:
                series[bisect_left(self.buckets, value)] += 1
            series[-1] += value

    def has(self, *labels: str) -> bool:
        """Whether there is such a series."""
        return labels in self._series

    def remove(self, **labels: str) -> None:
        """Forgets the series that have these values of labels."""
        where = [(self.labels.index(name), value) for name, value in labels.items()]
        with self._lock:
            for key in list(self._series):
                if all(key[i] == value for i, value in where):
                    del self._series[key]

    def lines(self) -> list[str]:
        """The text, a line a sample."""
        with self._lock:
            series = {key: list(values) for key, values in self._series.items()}
        kind = "counter" if self.buckets is None else "histogram"
        lines = [f"# TYPE {self.name} {kind}"]
        for key, values in series.items():
            labels = ",".join(
                f'{name}="{_escaped(value)}"' for name, value in zip(self.labels, key, strict=True)
            )
            if self.buckets is None:
                lines.append(f"{self.name}{{{labels}}} {_number(values[0])}")
                continue
            *counts, total = values
            prefix = f"{self.name}_bucket{{{labels}{',' if labels else ''}le="
            bounds = [*(f"{bound:.6g}" for bound in self.buckets), "+Inf"]
            cumulated = list(accumulate(counts))
            for bound, count in zip(bounds, cumulated, strict=True):
                lines.append(f'{prefix}"{bound}"}} {count}')
            lines.append(f"{self.name}_sum{{{labels}}} {_number(total)}")
            lines.append(f"{self.name}_count{{{labels}}} {cumulated[-1]}")
        return lines


def exponential_buckets(scale: float, growth: float, count: int) -> list[float]:
    """Upper bounds as TensorFlow's `Buckets::Exponential` has them, infinity left out.

    Example:
    >>> exponential_buckets(1, 2, 4)
    [1, 2, 4, 8]
    """
    return list(accumulate(range(count - 1), lambda bound, _: bound * growth, initial=scale))


def _escaped(value: str) -> str:
    # A model's name comes from the request: without this, it could write lines of its own.
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _number(value: float) -> str:
    # As a plain float: numpy's own print their type, too.
    return str(int(value)) if value == int(value) else repr(float(value))
