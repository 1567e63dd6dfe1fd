"""Published weights, against a forward pass in float64 that shares no code with the model."""

import json

import h5py
import keras
import numpy as np
import pytest

from polysemy.zoo.elmo.backbone import Elmo

CELL = "RNN_{d}/RNN/MultiRNNCell/Cell{i}/LSTMCell"
FILTERS = [[1, 3], [2, 4], [3, 2], [4, 5], [5, 3], [6, 2], [7, 4]]
VARIANTS = {
    "published": {
        "filters": FILTERS,
        "n_highway": 2,
        "n_layers": 2,
        "activation": "relu",
        "skip": True,
        "rows": 261,
        "clips": (1.0, 0.4),
    },
    "without skip connections": {
        "filters": FILTERS[:5],
        "n_highway": 1,
        "n_layers": 3,
        "activation": "tanh",
        "skip": False,
        "rows": 262,
        "clips": (0.8, 0.5),
    },
    "without highway and clips": {
        "filters": FILTERS[1:2],
        "n_highway": 0,
        "n_layers": 1,
        "activation": "relu",
        "skip": True,
        "rows": 261,
        "clips": (None, None),
    },
}
BATCHES = (  # three calls with different numbers of rows and words
    [["The", "cat", "sat", "."], ["café"], ["a", "b"]],
    [["猫", "x" * 60], ["one", "two", "three"]],
    [["The", "cat"], ["again", "!"], ["and", "once", "more"]],
)


def make_files(folder, variant, embedding_dim=4, hidden_dim=6, projection_dim=5):
    """Writes random weights in the published layout: the paths of both files and the tensors."""
    v = VARIANTS[variant]
    draw = np.random.default_rng(3)
    width = sum(number for _, number in v["filters"])
    shapes = {"char_embed": (v["rows"], embedding_dim)}
    for i, (size, number) in enumerate(v["filters"]):
        shapes |= {
            f"CNN/W_cnn_{i}": (1, size, embedding_dim, number),
            f"CNN/b_cnn_{i}": (number,),
        }
    for i in range(v["n_highway"]):
        for part in ("transform", "carry"):
            shapes |= {
                f"CNN_high_{i}/W_{part}": (width, width),
                f"CNN_high_{i}/b_{part}": (width,),
            }
    shapes |= {"CNN_proj/W_proj": (width, projection_dim), "CNN_proj/b_proj": (projection_dim,)}
    for d in (0, 1):
        for i in range(v["n_layers"]):
            cell = CELL.format(d=d, i=i)
            shapes |= {
                f"{cell}/W_0": (2 * projection_dim, 4 * hidden_dim),
                f"{cell}/B": (4 * hidden_dim,),
                f"{cell}/W_P_0": (hidden_dim, projection_dim),
            }
    tensors = {}
    for name, shape in shapes.items():
        # Vectors of size 1, as those of the published weights: the limit below is an absolute one.
        scale = width**-0.5 if name.startswith(("CNN_high", "CNN_proj")) else 0.7
        tensors[name] = draw.normal(scale=scale, size=shape).astype("f4")
    if v["rows"] == 262:
        tensors["char_embed"][0] = 0.0
    options = {
        "lstm": {
            "use_skip_connections": v["skip"],
            "projection_dim": projection_dim,
            "cell_clip": v["clips"][0],
            "proj_clip": v["clips"][1],
            "dim": hidden_dim,
            "n_layers": v["n_layers"],
        },
        "char_cnn": {
            "activation": v["activation"],
            "filters": v["filters"],
            "n_highway": v["n_highway"],
            "embedding": {"dim": embedding_dim},
            "n_characters": v["rows"],
            "max_characters_per_token": 50,
        },
    }
    return (*write(folder, options, tensors), options, tensors)


def write(folder, options, tensors):
    paths = folder / "options.json", folder / "weights.hdf5"
    paths[0].write_text(json.dumps(options))
    with h5py.File(paths[1], "w") as file:
        for name, tensor in tensors.items():
            file[name] = tensor
    return paths


# --- the forward pass, written after the paper and the published program's layout ---


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def clip(x, limit):
    return x if limit is None else np.clip(x, -limit, limit)


def characters(word):
    """One word's ids: begin 258, bytes, end 259, padding 260; a boundary is its own id."""
    middle = [word] if isinstance(word, int) else list(word.encode("utf-8")[:48])
    row = [258, *middle, 259]
    return np.array(row + [260] * (50 - len(row)))


def word_vector(word, tensors, options):
    embed = tensors["char_embed"][-261:]
    x = embed[characters(word)]  # (50, E)
    cnn = options["char_cnn"]
    features = []
    for i, (size, _) in enumerate(cnn["filters"]):
        kernel, bias = tensors[f"CNN/W_cnn_{i}"][0], tensors[f"CNN/b_cnn_{i}"]
        responses = [
            np.einsum("we,wen->n", x[t : t + size], kernel) + bias for t in range(50 - size + 1)
        ]
        features.append(np.max(responses, axis=0))
    x = np.concatenate(features)
    x = np.maximum(x, 0) if cnn["activation"] == "relu" else np.tanh(x)
    for i in range(cnn["n_highway"]):
        at = f"CNN_high_{i}"
        gate = sigmoid(x @ tensors[f"{at}/W_carry"] + tensors[f"{at}/b_carry"])
        new = np.maximum(x @ tensors[f"{at}/W_transform"] + tensors[f"{at}/b_transform"], 0)
        x = gate * new + (1 - gate) * x
    return x @ tensors["CNN_proj/W_proj"] + tensors["CNN_proj/b_proj"]


def lstm(x, state, tensors, cell, options):
    """(L, P), (h, c) -> (L, P), (h, c)."""
    h, c = state
    outputs = []
    for x_t in x:
        z = np.concatenate([x_t, h]) @ tensors[f"{cell}/W_0"] + tensors[f"{cell}/B"]
        i, j, f, o = np.split(z, 4)
        c = clip(sigmoid(f + 1) * c + sigmoid(i) * np.tanh(j), options["lstm"]["cell_clip"])
        h = clip((sigmoid(o) * np.tanh(c)) @ tensors[f"{cell}/W_P_0"], options["lstm"]["proj_clip"])
        outputs.append(h)
    return np.array(outputs), (h, c)


def sentence_layers(words, states, tensors, options):
    """Every layer of one sentence, (K, L, 2P); `states` (of this row) are brought up to date."""
    vectors = np.array([word_vector(w, tensors, options) for w in (256, *words, 257)])
    directions = []
    for d, x in enumerate((vectors, vectors[::-1])):
        layers = [x]
        for i in range(options["lstm"]["n_layers"]):
            cell = CELL.format(d=d, i=i)
            y, states[d, i] = lstm(x, states[d, i], tensors, cell, options)
            x = y + x if options["lstm"]["use_skip_connections"] and i > 0 else y
            layers.append(x)
        directions.append([layer[:: 1 - 2 * d][1:-1] for layer in layers])
    return np.array([np.concatenate(pair, axis=-1) for pair in zip(*directions, strict=True)])


def fresh_states(options):
    lstm = options["lstm"]
    zeros = np.zeros(lstm["projection_dim"]), np.zeros(lstm["dim"])
    return {(d, i): zeros for d in (0, 1) for i in range(lstm["n_layers"])}


def difference(outputs, sentences, states, tensors, options):
    """The largest difference of a batch's layers to the float64 pass; padding must be zero."""
    largest = 0.0
    layers = keras.ops.convert_to_numpy(outputs["layer_outputs"])
    for row, (words, state) in enumerate(zip(sentences, states, strict=False)):
        expected = sentence_layers(words, state, tensors, options)
        largest = max(largest, np.abs(layers[row, :, : len(words)] - expected).max())
        assert not layers[row, :, len(words) :].any()
    mix = layers.mean(axis=1)  # a new mix is the average
    return max(largest, np.abs(keras.ops.convert_to_numpy(outputs["sequence_output"]) - mix).max())


@pytest.mark.parametrize("variant", VARIANTS)
def test_outputs_equal_the_forward_pass(variant, poison, tmp_path, record_property):
    options_json, weights, options, tensors = make_files(tmp_path, variant)
    tensors = {name: tensor.astype("float64") for name, tensor in tensors.items()}

    elmo = Elmo.from_checkpoint(options_json, weights, stateful=True, state_batch_size=3)
    assert poison
    states = [fresh_states(options) for _ in range(3)]
    differences = []
    for sentences in BATCHES:  # the second leaves the third row's state alone
        outputs = elmo(elmo.preprocessor.tokens(sentences))
        differences.append(difference(outputs, sentences, states, tensors, options))
    elmo.reset_states()
    states = [fresh_states(options) for _ in range(3)]
    outputs = elmo(elmo.preprocessor.tokens(BATCHES[2]))
    differences.append(difference(outputs, BATCHES[2], states, tensors, options))

    record_property("max_difference", float(max(differences)))
    assert max(differences) <= 1e-5


def test_the_states_and_the_clips_matter(tmp_path):
    """The comparison above would see a state that is lost, and a clip that is left out."""
    _, _, options, tensors = make_files(tmp_path, "published")
    words, states = BATCHES[0][0], fresh_states(options)
    first = sentence_layers(words, states, tensors, options)
    assert np.abs(sentence_layers(words, states, tensors, options) - first).max() > 1e-2
    for name in ("cell_clip", "proj_clip"):
        loose = {**options, "lstm": {**options["lstm"], name: None}}
        other = sentence_layers(words, fresh_states(options), tensors, loose)
        assert np.abs(other - first).max() > 1e-2


def test_a_projection_that_was_left_out(tmp_path):
    """bilm-tf writes none if there are as many filters as features."""
    _, _, options, tensors = make_files(tmp_path, "without highway and clips", projection_dim=4)
    tensors["CNN_proj/W_proj"], tensors["CNN_proj/b_proj"] = np.eye(4), np.zeros(4)
    kept = {name: x for name, x in tensors.items() if not name.startswith("CNN_proj")}
    elmo = Elmo.from_checkpoint(*write(tmp_path, options, kept))
    states = [fresh_states(options) for _ in range(3)]
    outputs = elmo(elmo.preprocessor.tokens(BATCHES[0]))
    assert difference(outputs, BATCHES[0], states, tensors, options) <= 1e-5


def test_every_misfit_is_listed(tmp_path):
    _, _, options, tensors = make_files(tmp_path, "published")
    del tensors["CNN/b_cnn_3"], tensors["RNN_1/RNN/MultiRNNCell/Cell1/LSTMCell/W_P_0"]
    tensors["char_embed"] = tensors["char_embed"][:100]
    tensors["RNN_0/RNN/MultiRNNCell/Cell0/LSTMCell/W_0"] = np.zeros((9, 24), "f4")
    tensors["RNN_0/RNN/MultiRNNCell/Cell1/LSTMCell/B"] = np.zeros((23,), "f4")
    tensors["CNN_high_0/W_carry"] = tensors["CNN_high_0/W_carry"][:, :-1]
    tensors["softmax/W"] = np.zeros((3, 5), "f4")
    with pytest.raises(ValueError) as raised:
        Elmo.from_checkpoint(*write(tmp_path, options, tensors))
    message = str(raised.value)
    for line in (
        "missing tensor 'CNN/b_cnn_3'",
        "missing tensor 'RNN_1/RNN/MultiRNNCell/Cell1/LSTMCell/W_P_0'",
        "tensor 'char_embed' of shape (100, 4) does not fit",
        "tensor 'RNN_0/RNN/MultiRNNCell/Cell0/LSTMCell/W_0' of shape (9, 24) does not fit",
        "tensor 'RNN_0/RNN/MultiRNNCell/Cell1/LSTMCell/B' of shape (23,) does not fit",
        "tensor 'CNN_high_0/W_carry' of shape (23, 22) does not fit",
        "superfluous tensor 'softmax/W' (3, 5)",
    ):
        assert line in message


def test_bad_options(tmp_path):
    options_json, weights, options, tensors = make_files(tmp_path, "published")
    with pytest.raises(FileNotFoundError, match="`options_json` must be a file"):
        Elmo.from_checkpoint(tmp_path / "none.json", weights)
    with pytest.raises(FileNotFoundError, match="`weights_hdf5` must be a file"):
        Elmo.from_checkpoint(options_json, tmp_path / "none.hdf5")
    with pytest.raises(ValueError, match="`weights_hdf5` must be an HDF5 file"):
        Elmo.from_checkpoint(options_json, options_json)
    with pytest.raises(ValueError, match="`options_json` must be a JSON file"):
        Elmo.from_checkpoint(weights, weights)
    cut = tmp_path / "cut.hdf5"
    cut.write_bytes(weights.read_bytes()[:-1000])
    with pytest.raises(ValueError, match="`weights_hdf5` must be a whole HDF5 file.*cut.hdf5"):
        Elmo.from_checkpoint(options_json, cut)
    del options["lstm"]["dim"], options["char_cnn"]["embedding"]
    options["char_cnn"] |= {"n_characters": 300, "activation": "gelu", "filters": [[1]]}
    write(tmp_path, options, tensors)
    with pytest.raises(ValueError) as raised:
        Elmo.from_checkpoint(options_json, weights)
    for problem in (
        "lstm/dim is missing",
        "char_cnn/embedding/dim is missing",
        "char_cnn/n_characters must be 261 or 262, not 300",
        'char_cnn/activation must be "relu" or "tanh", not \'gelu\'',
        "char_cnn/filters must be a list of pairs [width, number], not [[1]]",
    ):
        assert problem in str(raised.value)
    options["char_cnn"]["filters"] = [[1, 2.5], ["a", 3]]
    options["lstm"]["cell_clip"] = True
    write(tmp_path, options, tensors)
    with pytest.raises(ValueError, match=r"filters must be .*\['a', 3\]\].*cell_clip .* not True"):
        Elmo.from_checkpoint(options_json, weights)
    options_json.write_text("[1]")
    with pytest.raises(ValueError, match="lstm/n_layers is missing"):
        Elmo.from_checkpoint(options_json, weights)


@pytest.mark.parametrize("part, name", [("lstm", "n_layers"), ("char_cnn", "n_highway")])
def test_more_layers_than_the_weights_have_are_not_built(part, name, tmp_path):
    _, _, options, tensors = make_files(tmp_path, "published")
    options[part][name] = 10**30
    with pytest.raises(
        ValueError, match=r"that of the checkpoint. Received: 1000.* layers, \d+ ten"
    ):
        Elmo.from_checkpoint(*write(tmp_path, options, tensors))
