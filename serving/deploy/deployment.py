"""Writes the files of a deployment: configuration of the server, Docker Compose, Kubernetes."""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
import shlex
import string
import urllib.parse
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path

from .exports import ServedExport, image_of, read_exports
from .server_files import METRICS, server_files, server_flags

TARGETS = {
    "compose": ("compose.yaml",),
    "kubernetes": (
        "autoscaler.yaml",
        "config-map.yaml",
        "deployment.yaml",
        "disruption-budget.yaml",
        "services.yaml",
        "volume.yaml",
    ),
}
_TEMPLATES = Path(__file__).with_name("templates")
# A name of Kubernetes, short enough for what is put behind it.
_NAME = re.compile(r"[a-z]([-a-z0-9]{0,48}[a-z0-9])?")
_COMPOSE_GPU = """\
        reservations:
          devices:
            - driver: nvidia
              count: 1
              capabilities: [gpu]"""


def deploy(
    directory: str | os.PathLike,
    to: str,
    out: str | os.PathLike,
    name: str | None = None,
    image: str | None = None,
    replicas: int = 2,
    max_replicas: int = 8,
    cpus: int = 2,
    gpu: bool = False,
    overwrite: bool = False,
) -> list[str]:
    """Writes what runs exports on TensorFlow Serving in production, filled in from the exports.

    Always: `models.config`, `monitoring.config` and, unless a signature has tensors without rows,
    `batching.config`, which `polysemy serve` reads as well. Then `compose.yaml`, or Kubernetes'
    manifests: Deployment, Services, HorizontalPodAutoscaler, PodDisruptionBudget, ConfigMap and
    PersistentVolumeClaim.

    Args:
        directory: a model's folder, or a folder of such, as `polysemy serve` takes it.
        to: "compose" or "kubernetes".
        out: the folder to write into, made if it is missing.
        name: of the deployment: a DNS label. Default: made of the folder's name.
        image: Default: tensorflow/serving, in the version of the TensorFlow that exported.
        replicas, max_replicas: int. Servers at least and at most (Kubernetes).
        cpus: int. Cores of each server.
        gpu: bool. An NVIDIA GPU for each server, and the image made for it.
        overwrite: bool. Replace files that are there and differ.

    Returns:
        list of str. The paths of the files.

    Raises:
        ValueError: if an argument is wrong or an export cannot be read. Nothing is written then.
        FileExistsError: if a file would be changed and `overwrite` is False. Likewise.
        OSError: if a file cannot be written.
    """
    if to not in TARGETS:
        raise ValueError(f"`to` must be one of {sorted(TARGETS)}. Received: to={to!r}")
    _check_numbers(replicas, max_replicas, cpus)
    exports = read_exports(directory)
    root = Path(directory).resolve()
    name = _checked_name(name, root)
    image = image or image_of(exports) + ("-gpu" if gpu else "")
    if not re.fullmatch(r"[\w][\w./:@-]*", image):
        raise ValueError(f"`image` must be a reference of an image. Received: image={image!r}")
    files = server_files(exports, cpus)
    single = len(exports) == 1 and exports[0].path.parent == root
    largest = sum(export.size for export in exports)
    values = {
        "name": name,
        "image": image,
        "count": "1 model" if len(exports) == 1 else f"{len(exports)} models",
        "first": shlex.quote(exports[0].name) if exports[0].name.isprintable() else "MODEL",
        "layout": "Copy there " + ("the versions." if single else "a folder for each model."),
        "cpus": str(cpus),
        # Two versions while one takes over, each with room to work, and the server.
        "memory": str(512 + math.ceil(3 * largest / 2**20)),
        "storage": str(max(1, math.ceil(10 * largest / 2**30))),
        "start_seconds": str(60 + math.ceil(largest / 2**23)),
        "start_failures": str(60 + math.ceil(largest / 2**25)),
        "replicas": str(replicas),
        "max_replicas": str(max_replicas),
        "metrics": METRICS,
        "checksum": hashlib.sha256("".join(files.values()).encode()).hexdigest()[:16],
    }
    mount = f"/models/{exports[0].name}" if single else "/models"
    values.update(_of_target(to, root, mount, exports, files, cpus, gpu))
    written = dict(files)
    for file in TARGETS[to]:
        template = string.Template((_TEMPLATES / file).read_text(encoding="utf-8"))
        lines = [line.rstrip() for line in template.substitute(values).splitlines()]
        written[file] = "\n".join([*filter(None, lines), ""])
    return _write(Path(out), written, overwrite)


def probe_script(exports: Sequence[ServedExport], port: int = 8501) -> str:
    """A bash script that succeeds if every model has an available version, asked over REST.

    Example:
    >>> probe_script([])
    ''
    """
    names = " ".join(urllib.parse.quote(export.name, safe="") for export in exports)
    if not names:
        return ""
    return (
        f"for model in {names}; do "
        f"exec 3<>/dev/tcp/localhost/{port} && "
        'printf "GET /v1/models/%s HTTP/1.0\\r\\n\\r\\n" "$model" >&3 && '
        "grep -q '\"AVAILABLE\"' <&3 || exit 1; done"
    )


def _of_target(
    to: str,
    root: Path,
    mount: str,
    exports: Sequence[ServedExport],
    files: Mapping[str, str],
    cpus: int,
    gpu: bool,
) -> dict[str, str]:
    """What is written in another way for Compose, where a dollar stands twice, and Kubernetes."""
    flags, probe = server_flags(exports, cpus), probe_script(exports)
    if to == "compose":
        return {
            "flags": "\n".join(f"      - {json.dumps(flag)}" for flag in flags),
            "probe": json.dumps(probe.replace("$", "$$")),
            "source": json.dumps(str(root).replace("$", "$$")),
            "target": json.dumps(mount.replace("$", "$$")),
            "gpu": _COMPOSE_GPU if gpu else "",
        }
    blocks = []
    for file, text in sorted(files.items()):
        blocks += [f"  {file}: |", *(f"    {line}" for line in text.splitlines())]
    return {
        "flags": "\n".join(f"            - {json.dumps(flag)}" for flag in flags),
        "probe": json.dumps(probe),
        "target": json.dumps(mount),
        "gpu": "              nvidia.com/gpu: 1" if gpu else "",
        "data": "\n".join(blocks),
    }


def _checked_name(name: str | None, root: Path) -> str:
    if name is None:
        name = re.sub(r"[^a-z0-9]+", "-", root.name.lower()).strip("-")[:50].strip("-")
        name = name if re.match(r"[a-z]", name) else f"models-{name}".strip("-")
    if not _NAME.fullmatch(name):
        raise ValueError(
            "`name` must be lower-case letters, digits and hyphens, a letter first, at most 50. "
            f"Received: name={name!r}"
        )
    return name


def _check_numbers(replicas: int, max_replicas: int, cpus: int) -> None:
    if not 1 <= replicas <= max_replicas:
        raise ValueError(
            "`replicas` must be 1 or more and at most `max_replicas`. "
            f"Received: replicas={replicas}, max_replicas={max_replicas}"
        )
    if cpus < 1:
        raise ValueError(f"`cpus` must be 1 or more. Received: cpus={cpus}")


def _write(out: Path, files: Mapping[str, str], overwrite: bool) -> list[str]:
    """Writes all files or none."""
    if out.exists() and not out.is_dir():
        raise ValueError(f"`out` must be a folder. Received: out={str(out)!r}")
    present = [name for name in files if (out / name).exists()]
    changed = [name for name in present if (out / name).read_text("utf-8") != files[name]]
    if changed and not overwrite:
        raise FileExistsError(
            "`overwrite` must be True to replace files that differ. Received: "
            f"out={str(out)!r}, which has other {', '.join(sorted(changed))}"
        )
    out.mkdir(parents=True, exist_ok=True)
    temporary = {name: out / f".{name}.tmp-{uuid.uuid4().hex}" for name in files}
    try:
        for name, path in temporary.items():
            path.write_text(files[name], encoding="utf-8")
        for name, path in temporary.items():
            os.replace(path, out / name)
    finally:
        for path in temporary.values():
            path.unlink(missing_ok=True)
    return [str(out / name) for name in sorted(files)]
