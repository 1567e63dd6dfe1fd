"""A backbone's vectors, one per word, at the places where a tagger takes them in."""

import keras
from keras import ops

from ...layers.gather_words import GatherWords
from ...layers.scalar_mix import ScalarMix
from ..backbone import fresh_inputs

PLACES = {"input": ("input",), "first_lstm": ("first_lstm",), "both": ("input", "first_lstm")}


def encoder_inputs(backbone):
    """Fresh inputs with the shapes and dtypes of the backbone's, by its names for them.

    In the tagger's graph they are called `encoder_…`. A backbone that splits words has one more,
    `word_positions`.
    """
    inputs = fresh_inputs(backbone, prefix="encoder_")
    if backbone.splits_words:
        inputs["word_positions"] = keras.Input(
            (None,), dtype="int32", name="encoder_word_positions"
        )
    return inputs


def encode(backbone, inputs, mask, training, layers, at, l2, dtype=None):
    """Runs the backbone and mixes its layers.

    Args:
        backbone: `Backbone`.
        inputs: dict as of `encoder_inputs`.
        mask: (B, L) bool, True at words.
        training: "frozen", "mix" or "full". layers: "mix" or "top". at: key of `PLACES`.
        l2: float. Of the mixes.
        dtype: dtype policy or None.

    Returns:
        dict of place to `ScalarMix`, dict of place to (B, L, D).
    """
    inputs = dict(inputs)
    positions = inputs.pop("word_positions", None)
    # In time for the graph: Keras decides by it which variables a gradient can reach.
    _set_training(backbone, training)
    x = backbone(inputs)[_used_output(backbone)]
    if len(x.shape) == 3:
        x = ops.expand_dims(x, 1)
    if layers == "top":
        x = x[:, -1:]
    if positions is not None:
        x = GatherWords(dtype=dtype, name="gather_words")(x, positions)
    # x: (B, K, L, D). One layer is mixed too: its scale is learned, without which the top layer
    # alone does badly.
    mixes = {
        place: ScalarMix(
            x.shape[1],
            l2=l2,
            trainable_mix=training != "frozen",
            dtype=dtype,
            name=f"{place}_mix",
        )
        for place in PLACES[at]
    }
    return mixes, {place: mix(x, padding_mask=mask) for place, mix in mixes.items()}


def _set_training(backbone, training):
    """Lets train what the tagger's loss reaches of the backbone if `training` is "full", else none.

    It does not reach a mix of the backbone's own, or a pooled output.
    """
    backbone.trainable = training == "full"
    if training == "full":
        used = keras.Model(backbone.input, backbone.output[_used_output(backbone)])
        reached = {id(layer) for layer in used.layers}
        for layer in backbone.layers:
            if id(layer) not in reached:
                layer.trainable = False


def _used_output(backbone):
    """Every layer if the backbone hands them out, else its one output."""
    return "layer_outputs" if "layer_outputs" in backbone.output else "sequence_output"
