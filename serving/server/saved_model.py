"""Reading a version's SavedModel, with the ops that it needs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import tensorflow as tf
from google.protobuf.message import DecodeError

from ..protos import SavedModel
from ..saved_model_file import read_saved_model
from .gradients import without_gradients
from .version_one import load_version_one


def read_meta_graph(path: Path, tags: Sequence[str] = ("serve",)) -> Any:
    """The MetaGraph with exactly these tags, from the file: reloaded objects do not show all of it.

    Raises:
        ValueError: if there is no such file or graph, or it cannot be read.
    """
    try:
        saved_model = SavedModel.FromString(read_saved_model(path))
    except FileNotFoundError as error:
        raise ValueError(
            f"A version must have a saved_model.pb. Received: {str(path)!r} without one",
        ) from error
    except (OSError, DecodeError) as error:
        raise ValueError(
            f"A version's saved_model.pb must be readable. Received: {str(path)!r}: {error}",
        ) from error
    for meta_graph in saved_model.meta_graphs:
        if set(meta_graph.meta_info_def.tags) == set(tags):
            return meta_graph
    quoted = " and ".join(repr(tag) for tag in tags)
    raise ValueError(
        f"A SavedModel must have a graph with the tag {quoted}. Received: {str(path)!r}",
    )


def load_saved_model(path: Path, meta_graph: Any) -> tuple[Any, dict[str, str]]:
    """The loaded object, whose `signatures` can be called; and why others cannot, by name.

    Raises:
        ValueError: if the SavedModel is damaged or needs an op that is not here.
    """
    ops = {op.name for op in meta_graph.meta_info_def.stripped_op_list.op}
    if not all(hasattr(tf.raw_ops, op) for op in ops):
        # An op that is not TensorFlow's own. Importing tensorflow_text registers its ops; it
        # takes seconds, which models without them need not wait for.
        try:
            import tensorflow_text  # noqa: F401
        except ImportError:
            pass  # the op may come from elsewhere; if it does not, loading names it
    try:
        tags = list(meta_graph.meta_info_def.tags)
        with without_gradients():
            if not meta_graph.HasField("object_graph_def"):
                return load_version_one(path, tags)
            return tf.saved_model.load(str(path), tags=tags), {}
    # What TensorFlow raises for a damaged file depends on the byte that is wrong.
    except (
        OSError,
        ValueError,
        TypeError,
        LookupError,
        AttributeError,
        RuntimeError,
        tf.errors.OpError,
    ) as error:
        text = " ".join(str(error).split())[:400]
        if "Op type not registered" in text:
            op = text.split("'")[1]
            raise ValueError(
                f"A SavedModel's ops must be registered here. Received: {str(path)!r} with the "
                f"custom op {op!r}; import the package that defines it before serving",
            ) from error
        raise ValueError(
            f"A version must be a readable SavedModel. Received: {str(path)!r}: {text}",
        ) from error
