"""Reads the published biLMs: `options.json` and the HDF5 weights of AllenNLP and bilm-tf."""

import json
import math
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from ...layers.initializers import weights_without_values
from ..checkpoints import Weight, assign_weights, check_num_layers
from ..shown import shown
from ..stored_tensor import StoredTensor
from ..text.character_constants import NUM_CHARACTERS


def _is_whole(value, least):
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


def _is_filters(value):
    pairs = isinstance(value, list) and value and all(isinstance(x, list) for x in value)
    return pairs and all(len(x) == 2 and all(_is_whole(n, 1) for n in x) for x in value)


def _is_limit(value):
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 < value < math.inf


_POSITIVE = (lambda value: _is_whole(value, 1), "a positive integer")
_COUNT = (lambda value: _is_whole(value, 0), "an integer of at least 0")
_LIMIT = (_is_limit, "a positive number")
_SWITCH = (lambda value: isinstance(value, bool), "true or false")
_CHOICE = (lambda value: value in ("relu", "tanh"), '"relu" or "tanh"')
_FILTERS = (_is_filters, "a list of pairs [width, number]")
# Without the padding id in training, with it at inference; the weights tell which.
_CHARACTERS = (lambda value: value in (261, 262), "261 or 262")
_NEEDED = object()

# Our argument, where it stands in options.json, the rule for its value, and what the published
# program does without it.
OPTIONS = (
    ("filters", "char_cnn/filters", _FILTERS, _NEEDED),
    ("character_embedding_dim", "char_cnn/embedding/dim", _POSITIVE, _NEEDED),
    ("max_characters", "char_cnn/max_characters_per_token", _POSITIVE, _NEEDED),
    ("activation", "char_cnn/activation", _CHOICE, _NEEDED),
    ("num_highway_layers", "char_cnn/n_highway", _COUNT, 0),
    ("hidden_dim", "lstm/dim", _POSITIVE, _NEEDED),
    ("projection_dim", "lstm/projection_dim", _POSITIVE, _NEEDED),
    ("num_layers", "lstm/n_layers", _POSITIVE, _NEEDED),
    ("cell_clip", "lstm/cell_clip", _LIMIT, None),
    ("projection_clip", "lstm/proj_clip", _LIMIT, None),
    ("residual", "lstm/use_skip_connections", _SWITCH, False),
    (None, "char_cnn/n_characters", _CHARACTERS, None),
)


def load_checkpoint(cls, options_json, weights_hdf5, overrides):
    """Builds a `cls` as the options file says and sets its biLM to the published weights.

    Args:
        cls: `Elmo`. options_json, weights_hdf5: paths. overrides: dict of constructor arguments.

    Raises:
        FileNotFoundError, ValueError: see `Elmo.from_checkpoint`.
    """
    options, tensors = read_options(options_json), read_tensors(weights_hdf5)
    for name in ("num_layers", "num_highway_layers"):
        check_num_layers(options[name], tensors, str(weights_hdf5))
    with weights_without_values():
        model = cls(**{**options, **overrides})
    filters = sum(number for _, number in model.filters)
    if filters == model.projection_dim and not any(
        name.startswith("CNN_proj/") for name in tensors
    ):
        # bilm-tf leaves the projection out where it would change no width.
        tensors["CNN_proj/W_proj"] = np.eye(filters, dtype="float32")
        tensors["CNN_proj/b_proj"] = np.zeros(filters, dtype="float32")
    transient = {id(v) for v in model.transient_variables}
    parts = (*model.token_encoder.weights, *model.bidirectional_lm.weights)
    variables = [v for v in parts if id(v) not in transient]
    assign_weights(variables, tensors, weight_table(model), origin=str(weights_hdf5))
    return model


def read_options(path):
    """The constructor arguments that an options file stands for.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is no JSON, or options are missing or impossible; all of them are
        listed.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(
            f"`options_json` must be a file. Received: options_json={str(path)!r}"
        )
    try:
        options = json.loads(Path(path).read_text(encoding="utf-8"))
    except ValueError as error:  # no JSON, no UTF-8
        raise ValueError(
            f"`options_json` must be a JSON file. Received: options_json={str(path)!r} ({error})"
        ) from error
    arguments, problems = {}, []
    for argument, keys, (allows, rule), default in OPTIONS:
        value = options
        for key in keys.split("/"):
            value = value.get(key) if isinstance(value, dict) else None
        if value is None and default is _NEEDED:
            problems.append(f"{keys} is missing")
        elif value is not None and not allows(value):
            problems.append(f"{keys} must be {rule}, not {shown(value)}")
        elif argument is not None:
            arguments[argument] = default if value is None else value
    if problems:
        raise ValueError(
            "`options_json` must hold the options of a character-based biLM. Received: "
            f"options_json={str(path)!r}, in which {'; '.join(problems)}"
        )
    return arguments


def read_tensors(path):
    """Every data set of an HDF5 file by its full name, as a `StoredTensor`.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is no HDF5, or not whole.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(
            f"`weights_hdf5` must be a file. Received: weights_hdf5={str(path)!r}"
        )
    if not h5py.is_hdf5(path):
        raise ValueError(
            f"`weights_hdf5` must be an HDF5 file. Received: weights_hdf5={str(path)!r}"
        )
    tensors = {}

    def collect(name, item):
        if isinstance(item, h5py.Dataset):
            tensors[name] = StoredTensor(item.shape, partial(_read_tensor, path, name))

    with _whole(path), h5py.File(path, "r") as file:
        file.visititems(collect)
    return tensors


def _read_tensor(path, name):
    with _whole(path), h5py.File(path, "r") as file:
        item: Any = file[name]
        return item[()]


@contextmanager
def _whole(path):
    try:
        yield
    except OSError as error:
        raise ValueError(
            f"`weights_hdf5` must be a whole HDF5 file. Received: weights_hdf5={str(path)!r} "
            f"({error})"
        ) from error


def weight_table(model):
    """Their names, our variables, and what lies between, for an `Elmo` of any size."""
    cnn, highway = "token_encoder/character_cnn", "token_encoder/highway"
    table = [Weight("char_embed", f"{cnn}/embeddings", without_padding_row)]
    for i in range(len(model.filters)):
        table += [
            Weight(f"CNN/W_cnn_{i}", f"{cnn}/kernel_{i}", without_height),
            Weight(f"CNN/b_cnn_{i}", f"{cnn}/bias_{i}"),
        ]
    for i in range(model.num_highway_layers):
        table += [
            Weight(f"CNN_high_{i}/W_transform", f"{highway}/transform_kernel_{i}"),
            Weight(f"CNN_high_{i}/b_transform", f"{highway}/transform_bias_{i}"),
            # The published program's "carry" gate multiplies the transformed branch, as ours does.
            Weight(f"CNN_high_{i}/W_carry", f"{highway}/gate_kernel_{i}"),
            Weight(f"CNN_high_{i}/b_carry", f"{highway}/gate_bias_{i}"),
        ]
    table += [
        Weight("CNN_proj/W_proj", "token_encoder/projection/kernel"),
        Weight("CNN_proj/b_proj", "token_encoder/projection/bias"),
    ]
    for d, direction in enumerate(("forward", "backward")):
        for i in range(model.num_layers):
            cell = f"RNN_{d}/RNN/MultiRNNCell/Cell{i}/LSTMCell"
            lstm = f"bidirectional_lm/{direction}_{i}"
            # Both add 1 to the forget gate at run time: the bias is taken as it is.
            table += [
                Weight(f"{cell}/W_0", f"{lstm}/kernel", input_rows),
                Weight(f"{cell}/W_0", f"{lstm}/recurrent_kernel", recurrent_rows),
                Weight(f"{cell}/B", f"{lstm}/bias", to_our_gates),
                Weight(f"{cell}/W_P_0", f"{lstm}/projection_kernel"),
            ]
    return table


def without_padding_row(embeddings):
    """(262, E) -> (261, E): some files hold the row of the padding id, which is no weight."""
    return embeddings[1:] if len(embeddings) == NUM_CHARACTERS else embeddings


def without_height(kernel):
    """(1, width, E, filters) -> (width, E, filters): theirs is a convolution over images."""
    return np.squeeze(kernel, axis=0)


def to_our_gates(matrix):
    """Reorders the column blocks of an LSTM: theirs are i, j, f, o, ours i, f, j, o."""
    i, j, f, o = np.split(matrix, 4, axis=-1)
    return np.concatenate([i, f, j, o], axis=-1)


def input_rows(matrix):
    """(2P, 4H) -> (P, 4H): what multiplies the input, which is as wide as the output."""
    return to_our_gates(np.split(matrix, 2, axis=0)[0])


def recurrent_rows(matrix):
    """(2P, 4H) -> (P, 4H): what multiplies the output of the step before."""
    return to_our_gates(np.split(matrix, 2, axis=0)[1])
