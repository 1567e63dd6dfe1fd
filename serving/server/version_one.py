"""Loading the graphs of TensorFlow 1, signature by signature."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tensorflow.python.framework import ops
from tensorflow.python.saved_model import load_v1_in_v2

from ..protos import MetaGraphDef

LOGGER = logging.getLogger(__name__)


def load_version_one(path: Path, tags: Sequence[str]) -> tuple[Any, dict[str, str]]:
    """What `tf.saved_model.load` makes of a graph without objects, and why signatures are missing.

    That function refuses the whole SavedModel for one signature that it cannot make a function of,
    one that names a placeholder twice, say, or leaves one out.
    """
    with ops.init_scope():
        loader = _Loader(str(path))
        loaded = loader.load(tags=list(tags))
    for name, problem in loader.problems.items():
        LOGGER.warning("%s: the signature %r cannot be run: %s", path, name, problem)
    return loaded, loader.problems


class _Loader(load_v1_in_v2._EagerSavedModelLoader):
    def __init__(self, path: str) -> None:
        super().__init__(path)
        self.problems: dict[str, str] = {}

    def _extract_signatures(self, wrapped: Any, meta_graph_def: Any) -> dict[str, Any]:
        functions: dict[str, Any] = {}
        for name, definition in meta_graph_def.signature_def.items():
            one = MetaGraphDef()
            one.signature_def[name].CopyFrom(definition)
            try:
                functions |= super()._extract_signatures(wrapped, one)
            except Exception as error:  # TensorFlow's own class here is a bare Exception
                self.problems[name] = " ".join(str(error).split())[:300]
        return functions
