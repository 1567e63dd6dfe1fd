"""What deployment has to know of exports, read from their files: nothing is loaded."""

from __future__ import annotations

import dataclasses
import os
import re
from collections.abc import Sequence
from pathlib import Path

from google.protobuf.message import DecodeError

from ..client_grpc import infos_of
from ..client_protos import SavedModel
from ..client_tensors import TensorInfo
from ..saved_model_file import read_saved_model
from ..server.folders import find_models, version_folders
from ..warmup import read_warmup

IMAGE = "tensorflow/serving"
_INIT = "__saved_model_init_op"  # TensorFlow's own, in every export
_VERSION = re.compile(r"(\d+)\.(\d+)\.(\d+)(?:-rc(\d+))?")


@dataclasses.dataclass(frozen=True)
class ServedExport:
    """The newest version of one model.

    Args:
        name: str. Of the model.
        path: Path. Of the version.
        version: int.
        signatures: {signature: {"inputs": {name: info}, "outputs": {name: info}}}.
        tensorflow: str. The version of TensorFlow that wrote it.
        warmup: int. Warm-up requests in it.
        size: int. Bytes of its files.
    """

    name: str
    path: Path
    version: int
    signatures: dict[str, dict[str, dict[str, TensorInfo]]]
    tensorflow: str
    warmup: int
    size: int

    @property
    def unbatchable(self) -> list[str]:
        """Signatures with an input or output that has no rows: batching servers refuse them."""
        return [
            name
            for name, sides in self.signatures.items()
            if any(info.shape == () for infos in sides.values() for info in infos.values())
        ]

    @property
    def variable(self) -> list[str]:
        """Signatures with an input whose rows may have one length or another."""
        return [
            name
            for name, sides in self.signatures.items()
            if any(None in (info.shape or ())[1:] for info in sides["inputs"].values())
        ]


def read_exports(directory: str | os.PathLike) -> list[ServedExport]:
    """The models of a directory, as `polysemy serve` finds them, by name.

    Raises:
        ValueError: if there is none, or the newest version of one cannot be read.
    """
    found = find_models(directory)
    return [_read(name, path) for name, path in sorted(found.items())]


def image_of(exports: Sequence[ServedExport]) -> str:
    """The image of TensorFlow Serving for these exports: of the newest TensorFlow among them.

    A server reads what its own TensorFlow or an older one wrote, so the versions agree.

    Raises:
        ValueError: if that TensorFlow is no release; images are made of releases only.

    Example:
    >>> image_of([ServedExport("elmo", Path("1"), 1, {}, "2.20.0", 0, 0)])
    'tensorflow/serving:2.20.0'
    """
    keys = {}
    for export in exports:
        found = _VERSION.fullmatch(export.tensorflow)
        if found is None:
            raise ValueError(
                "`image` must be given where a model was not exported by a release of TensorFlow. "
                f"Received: {export.path}, written by TensorFlow {export.tensorflow!r}"
            )
        *numbers, candidate = (int(part) if part else 10**9 for part in found.groups())
        keys[export.tensorflow] = (*numbers, candidate)
    return f"{IMAGE}:{max(keys, key=lambda version: keys[version])}"


def _read(name: str, folder: Path) -> ServedExport:
    version, path = max(version_folders(folder).items())
    try:
        saved = SavedModel.FromString(read_saved_model(path))
        graph = next(graph for graph in saved.meta_graphs if "serve" in graph.meta_info_def.tags)
    except (OSError, DecodeError, StopIteration) as error:
        raise ValueError(
            f"`directory` must hold readable SavedModels. Received: {str(path)!r}, whose "
            f"saved_model.pb is missing or broken ({type(error).__name__})"
        ) from error
    signatures = {
        key: {"inputs": infos_of(each.inputs), "outputs": infos_of(each.outputs)}
        for key, each in sorted(graph.signature_def.items())
        if key != _INIT
    }
    size = sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
    warmup = sum(1 for _ in read_warmup(path))
    tensorflow = graph.meta_info_def.tensorflow_version
    return ServedExport(name, path, version, signatures, tensorflow, warmup, size)
