"""The rows of the report: medians, ratios, targets, verdicts."""

import dataclasses
import os
import platform
import statistics
from pathlib import Path


@dataclasses.dataclass(frozen=True)
class Row:
    """One comparison.

    Args:
        name: str. What was done.
        ours, peer: what was measured of each: seconds of all repetitions, or one peak in MiB.
        against: str. Who the peer is.
        target: float or None. The least allowed ratio; None: for information.
        unit: "s" or "MiB".
        limit: float or None. For memory: the peak that must not be reached.
    """

    name: str
    ours: list[float]
    peer: list[float]
    against: str
    target: float | None = None
    unit: str = "s"
    limit: float | None = None

    @property
    def ratio(self):
        """How many times as fast (as small) as the peer, median by median; None without a peer."""
        if not self.peer:
            return None
        return statistics.median(self.peer) / statistics.median(self.ours)

    @property
    def verdict(self):
        if self.limit is not None:
            return "pass" if max(self.ours) < self.limit else "MISS"
        if self.target is None or self.ratio is None:
            return ""
        return "pass" if self.ratio >= self.target else "MISS"

    def cells(self):
        target = f"≥ {self.target:.1f}" if self.target is not None else ""
        if self.limit is not None:
            target = f"< {self.limit:,.0f} MiB"
        ratio = "" if self.ratio is None else f"{self.ratio:.2f}"
        measured = [_figures(values, self.unit) for values in (self.ours, self.peer)]
        return (self.name, measured[0], self.against, measured[1], ratio, target, self.verdict)


HEADER = ("what", "ours", "against", "theirs", "ratio", "target", "")


def _figures(values, unit):
    if not values:
        return ""
    if unit == "MiB":
        return f"{max(values):,.0f} MiB"
    return f"{statistics.median(values):.3f} s ({min(values):.3f})"


def as_text(rows):
    """The table for the terminal."""
    table = [HEADER, *(row.cells() for row in rows)]
    widths = [max(len(line[i]) for line in table) for i in range(len(HEADER))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in table
    )


def as_markdown(rows):
    """The table for a README."""
    return "\n".join(markdown_lines(HEADER, [row.cells() for row in rows]))


def markdown_lines(header, rows):
    """The lines of a Markdown table, of tuples or lists of texts."""
    return [f"| {' | '.join(cells)} |" for cells in (header, ["---"] * len(header), *rows)]


def machine():
    """Processor, cores at hand, memory and the instructions that decide about bfloat16."""
    info = Path("/proc/cpuinfo")
    fields = {}
    if info.exists():  # Linux
        pairs = (line.partition(":") for line in info.read_text().splitlines())
        fields = {key.strip(): value.strip() for key, _, value in pairs}
    flags = fields.get("flags", "").split()
    wide = [flag for flag in ("avx2", "avx512f", "avx512_bf16", "amx_bf16") if flag in flags]
    name = fields.get("model name") or platform.processor() or platform.machine()
    if "cpu family" in fields:  # some clouds hide the name
        name += f" (family {fields['cpu family']}, model {fields['model']})"
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return f"{name}, {len(os.sched_getaffinity(0))} cores, {memory:.0f} GiB, {' '.join(wide)}"
