"""Writes a Keras model as a SavedModel that servers, TF Hub and Keras can use."""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

# What is traced outside of a save is traced anew by it: its caches have a key for that.
from tensorflow.python.saved_model.save_context import save_context

from .reusable import reusable_model
from .signatures import ServedFunctions
from .version_folders import versions

# Checked where the caller gives no sentences: several lengths, so that there is padding.
DEFAULT_SENTENCES = ("The bank raised its rates .", "We sat on the bank of the river .", "Yes")


def export(
    model: Any,
    directory: str | os.PathLike,
    version: int | None = None,
    call: str | None = None,
    warmup: Sequence[str] | Mapping[str, Any] = (),
) -> str:
    """Writes `directory/<version>/`: a reusable SavedModel with signatures, assets and warm-up.

    The version is written beside, reloaded, compared with the model, and renamed: a reader sees
    either nothing or a version that answers as the model does.

    What is in it:
    - signatures `serving_default` (`sentences`: string `(B,)`), `tokens` (`tokens`: string
      `(B, L)`, `sequence_len`: int32 `(B,)`) and `ids` (the model's own inputs). A model without
      preprocessor has its own inputs as `serving_default`, too. `model.serving_signatures()` adds
      to these or replaces them;
    - for TF Hub: `__call__(inputs, training=False)`, `variables`, `trainable_variables`,
      `regularization_losses`, and the parts `tokens`, `preprocessor`, `encoder` and, of a masked
      language model, `mlm`. Calls return the model's outputs and, where they follow from these,
      TF Hub's `default` and `encoder_outputs`. A transformer's preprocessor has `tokenize` with
      `get_special_tokens_dict()` and `bert_pack_inputs(segments, seq_length)`;
    - the vocabularies as assets, so the folder may be moved.

    Args:
        model: a built Keras model on the TensorFlow backend, called with a dict, one tensor or a
            list. With `model.preprocessor` (a `tf.Module`: text to the model's inputs) it is
            exported with text signatures; `model.serving_outputs(outputs, inputs)` may choose
            and name what these return.
        directory: the model's folder, made if it is missing.
        version: int, 0 or more. Default: the next free number, from 1.
        call: "text" or "ids", what `__call__` takes; "preprocessor" for an export of that alone,
            without weights, as TF Hub publishes them. Default: "text" with a preprocessor.
        warmup: sentences (or, for a model without preprocessor, arrays by input name) that a
            server runs before it answers. They are also what the check compares.

    Returns:
        str. The path of the version.

    Raises:
        ValueError: if an argument is wrong, or the model cannot be traced.
        OSError: if the version cannot be written. Nothing of it is left then.
        RuntimeError: if the written version does not answer as the model does. Likewise.

    Example:
    >>> import keras, tempfile
    >>> inputs = keras.Input((3,), name="features")
    >>> model = keras.Model(inputs, keras.layers.Dense(2)(inputs))
    >>> path = export(model, tempfile.mkdtemp())
    >>> sorted(tf.saved_model.load(path).signatures)
    ['ids', 'serving_default']
    """
    directory = Path(directory)
    _check_arguments(model, version, call, warmup)
    call = call or ("text" if getattr(model, "preprocessor", None) is not None else "ids")
    if version is not None and (directory / str(version)).exists():
        raise ValueError(
            f"`version` must not exist yet in {str(directory)!r}. Received: version={version}"
        )
    served = ServedFunctions(model, alone=call == "preprocessor")
    with save_context(tf.saved_model.SaveOptions()):
        signatures = served.signatures()
        root = reusable_model(served, call, signatures)

    made_directory = not directory.exists()
    written = False
    temporary = directory / f".{_next_version(directory, version)}.tmp-{uuid.uuid4().hex}"
    try:
        directory.mkdir(parents=True, exist_ok=True)
        tf.saved_model.save(root, str(temporary), signatures=signatures)
        requests = _requests(served, warmup)
        if warmup:
            # Here, since only this needs TensorFlow Serving's protocol messages installed.
            from .warmup import write_warmup

            write_warmup(temporary, requests, model=directory.resolve().name)
        _verify(served, temporary, requests[0][1])
        path = _rename(temporary, directory, version)
        written = True
        return str(path)
    except (OSError, tf.errors.OpError) as error:
        raise OSError(
            f"`directory` must be writable and have room for the model. Received: "
            f"directory={str(directory)!r}, where writing failed: {_one_line(error)}. "
            "Nothing was left behind; earlier versions are as they were."
        ) from error
    except AssertionError as error:
        # TensorFlow's word for a table or variable that nothing holds.
        raise ValueError(
            "`model` must hold every table and variable that its signatures use; keep tables as "
            f"attributes of `model.preprocessor`, a tf.Module. Received: {_one_line(error)}"
        ) from error
    finally:
        if not written:
            shutil.rmtree(temporary, ignore_errors=True)
            if made_directory and directory.is_dir() and not any(directory.iterdir()):
                directory.rmdir()


def _check_arguments(model: Any, version: Any, call: Any, warmup: Any) -> None:
    text = getattr(model, "preprocessor", None) is not None
    if version is not None and (not isinstance(version, int) or version < 0):
        raise ValueError(f"`version` must be an integer, 0 or more. Received: version={version!r}")
    if call not in (None, "text", "ids", "preprocessor"):
        raise ValueError(f"`call` must be 'text', 'ids' or 'preprocessor'. Received: call={call!r}")
    if call in ("text", "preprocessor") and not text:
        raise ValueError(
            f"`call` must be 'ids' for a model without preprocessor. Received: call={call!r}"
        )
    if text and (isinstance(warmup, (str, Mapping)) or not all(isinstance(s, str) for s in warmup)):
        raise ValueError(f"`warmup` must be a list of sentences. Received: warmup={warmup!r}")
    if not text and warmup and not isinstance(warmup, Mapping):
        raise ValueError(
            "`warmup` must be arrays by input name for a model without preprocessor. "
            f"Received: warmup={warmup!r}"
        )
    if not getattr(model, "built", False):
        raise ValueError(f"`model` must be a built Keras model. Received: model={model!r}")
    if text and not isinstance(model.preprocessor, tf.__internal__.tracking.Trackable):
        raise ValueError(
            "`model.preprocessor` must be a tf.Module, so that its tables are saved. "
            f"Received: {type(model.preprocessor).__name__}"
        )
    if any(not isinstance(variable.value, tf.Variable) for variable in model.variables):
        raise ValueError(
            "`model` must run on Keras's TensorFlow backend. Save its weights and load them "
            "there. Received: variables of "
            f"{type(model.variables[0].value).__module__.split('.')[0]}"
        )


def _requests(served: ServedFunctions, warmup: Any) -> list[tuple[str, dict[str, Any]]]:
    """One request a signature, all of the same sentences; the first is `serving_default`'s."""
    if served.preprocessor is None:
        inputs = {name: np.asarray(value) for name, value in dict(warmup or {}).items()}
        inputs = inputs or {name: _example(spec) for name, spec in served.specs.items()}
        return [("serving_default", inputs)]
    sentences = list(warmup or DEFAULT_SENTENCES)
    requests: list[tuple[str, dict[str, Any]]] = [("serving_default", {"sentences": sentences})]
    if served.alone:
        return requests
    tokens = served.words(tf.constant(sentences))
    if served.has_tokens and tokens is not None:
        lengths = tf.cast(tokens.row_lengths(), tf.int32)
        words = {"tokens": tokens.to_tensor("").numpy(), "sequence_len": lengths.numpy()}
        requests.append(("tokens", words))
    features = served.preprocess(tf.constant(sentences))
    requests.append(("ids", {name: tensor.numpy() for name, tensor in features.items()}))
    return requests


def _example(spec: tf.TensorSpec) -> np.ndarray:
    """Two rows of small values for an input that nobody gave an example of; valid as ids."""
    shape = [2 if size is None else size for size in spec.shape]
    if spec.dtype == tf.string:
        return np.full(shape, b"a")
    values = np.arange(np.prod(shape)).reshape(shape) % 2
    return values.astype(spec.dtype.as_numpy_dtype)


def _verify(served: ServedFunctions, path: Path, inputs: Mapping[str, Any]) -> None:
    """Reloads the version and compares `serving_default` with the Keras model."""
    specs = served.signature_inputs()["serving_default"]
    if set(specs) != set(inputs):
        raise ValueError(f"`warmup` must have {sorted(specs)}. Received: {sorted(inputs)}")
    tensors = {name: tf.constant(inputs[name], specs[name].dtype) for name in specs}
    if served.preprocessor is None:
        direct = served.ids(**tensors)
    elif set(specs) == {"sentences"}:
        direct = served.text_signature(tensors["sentences"])
    else:
        return  # the model's own `serving_default`, of inputs that only it knows
    reloaded = tf.saved_model.load(str(path)).signatures["serving_default"](**tensors)
    # Half precision is compared as such: the reloaded graph may fuse what the model rounds, and
    # small values are differences of large ones.
    half = getattr(served.model, "compute_dtype", "float32") not in ("float32", "float64")
    tolerance = 2e-2 if half else 1e-5
    for name, expected in direct.items():
        expected, actual = np.asarray(expected), reloaded[name].numpy()
        if expected.dtype.kind in "OSUbiu":
            same = np.array_equal(expected, actual)
        else:
            expected, actual = expected.astype("float64"), actual.astype("float64")
            finite = np.isfinite(expected)
            scale = np.max(np.abs(expected), initial=1.0, where=finite) if half else 1.0
            same = expected.shape == actual.shape and np.allclose(
                expected, actual, rtol=tolerance, atol=tolerance * scale, equal_nan=True
            )
        if not same:
            raise RuntimeError(
                f"The exported output {name!r} must equal the model's to {tolerance}, but does "
                "not. Is there randomness outside training? Nothing was left behind."
            )


def _next_version(directory: Path, version: int | None) -> int:
    return version if version is not None else max(versions(directory), default=0) + 1


def _rename(temporary: Path, directory: Path, version: int | None) -> Path:
    """Gives the finished folder its number; another export may have taken it meanwhile."""
    while True:
        path = directory / str(_next_version(directory, version))
        try:
            os.rename(temporary, path)
            return path
        except OSError:
            # A rename onto a folder that is not empty fails: take the next number, if any will do.
            if version is not None or not path.exists():
                raise


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())[:400]
