"""Reads TensorFlow checkpoints, one tensor at a time."""

from functools import partial
from pathlib import Path

import tensorflow as tf

from .stored_tensor import StoredTensor


def read_tensorflow_checkpoint(prefix):
    """The tensors of a checkpoint by key, as `StoredTensor`s.

    Args:
        prefix: path of the checkpoint without `.index`.

    Raises:
        FileNotFoundError: there is no such checkpoint.
        ValueError: it is not whole, which may show only when a tensor is read.
    """
    if not Path(f"{prefix}.index").is_file():
        name = Path(prefix).name
        raise FileNotFoundError(f"The checkpoint must have its {name}.index. Received: {prefix}")
    reader = _whole(prefix, lambda: tf.train.load_checkpoint(str(prefix)))
    return {
        key: StoredTensor(tuple(shape), partial(_whole, prefix, partial(reader.get_tensor, key)))
        for key, shape in reader.get_variable_to_shape_map().items()
    }


def _whole(prefix, read):
    try:
        return read()
    except (tf.errors.OpError, RuntimeError, IndexError) as error:  # it depends on the part
        raise ValueError(
            f"`{Path(prefix).name}` must be a whole TensorFlow checkpoint. Received: "
            f"{str(prefix)!r} ({error})"
        ) from error
