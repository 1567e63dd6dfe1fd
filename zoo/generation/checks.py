"""What a call of a generator may be given; each check raises `ValueError` by the rule it keeps."""

import numpy as np
import tensorflow as tf

from ..shown import shown
from .sampling import Sampling


def checked_prompts(prompts, size):
    """Ids as ragged int32 (B, (P)), each of a vocabulary of `size`, or any if that is None."""
    rule = "`prompts` must be a list of lists of int, or a ragged int tensor (B, (P))"
    if isinstance(prompts, tf.RaggedTensor):
        if prompts.shape.rank != 2 or not prompts.dtype.is_integer:
            raise ValueError(
                f"{rule}. Received: {prompts.dtype.name} of shape {tuple(prompts.shape)}"
            )
        _check_range("prompts", prompts.flat_values.numpy(), size)
        return tf.cast(prompts, tf.int32)
    try:
        rows = [_integers(row) for row in prompts]
    except (TypeError, ValueError) as error:
        raise ValueError(f"{rule}. Received: prompts={shown(prompts)}") from error
    flat = np.concatenate(rows) if rows else np.zeros(0, "int32")
    _check_range("prompts", flat, size)
    return tf.RaggedTensor.from_row_lengths(tf.constant(flat, tf.int32), [len(row) for row in rows])


def checked_stops(stop_tokens, size):
    """Ids at which a row ends as an int32 array (S,)."""
    try:
        ids = _integers(stop_tokens)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"`stop_tokens` must be a list of int. Received: stop_tokens={shown(stop_tokens)}"
        ) from error
    _check_range("stop_tokens", ids, size)
    return ids.astype("int32")


def checked_sampling(sampling):
    """The options, or those of `Sampling()` for None."""
    if sampling is not None and not isinstance(sampling, Sampling):
        raise ValueError(f"`sampling` must be a `Sampling`. Received: sampling={shown(sampling)}")
    return Sampling() if sampling is None else sampling


def checked_seeds(seeds):
    """One seed, or one for each row, as an array of integers."""
    found = np.asarray(seeds)
    if found.dtype.kind not in "iu":
        raise ValueError(
            f"`seeds` must be one integer, or one for each prompt. Received: seeds={shown(seeds)}"
        )
    return found


def checked_texts(name, texts):
    """A list of str or bytes, out of a list or a tensor of them."""
    found = texts.numpy().tolist() if isinstance(texts, tf.Tensor) else texts
    # A text alone is a sequence, too: of characters.
    if not isinstance(found, (str, bytes, dict)) and hasattr(found, "__iter__"):
        found = list(found)
        if all(isinstance(text, (str, bytes)) for text in found):
            return found
    raise ValueError(f"`{name}` must be a list of str. Received: {name}={shown(texts)}")


def _integers(values):
    array = np.asarray(values)
    if array.ndim != 1 or (array.size and array.dtype.kind not in "iu"):
        raise ValueError("no list of int")
    return array if array.size else np.zeros(0, "int32")


def _check_range(name, ids, size):
    most = np.iinfo("int32").max if size is None else size - 1
    wrong = ids[(ids < 0) | (ids > most)]
    if wrong.size:
        raise ValueError(
            f"`{name}` must be ids from 0 to {most}. Received: {shown(wrong.tolist())}"
        )
