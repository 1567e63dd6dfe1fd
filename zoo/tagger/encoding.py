"""A backbone's vectors, one per word, at the places where a tagger takes them in."""

import keras
from keras import ops

from ...layers.gather_words import GatherWords
from ...layers.scalar_mix import ScalarMix

PLACES = {"input": ("input",), "first_lstm": ("first_lstm",), "both": ("input", "first_lstm")}


def encoder_inputs(backbone):
    """Fresh inputs with the names, shapes and dtypes of the backbone's, `encoder_` put before the names."""
    inputs = {
        name: keras.Input(x.shape[1:], dtype=x.dtype, name=f"encoder_{name}")
        for name, x in backbone.input.items()
    }
    if backbone.splits_words:
        inputs["word_positions"] = keras.Input(
            (None,), dtype="int32", name="encoder_word_positions"
        )
    return inputs


def encode(backbone, inputs, mask, training, layers, at, l2):
    """Runs the backbone and mixes its layers.

    Args:
        backbone: `Backbone`. It, and a mix of its own, is frozen unless `training` is "full".
        inputs: dict as of `encoder_inputs`.
        mask: (B, L) bool, True at words.
        training: "frozen", "mix" or "full". layers: "mix" or "top". at: key of `PLACES`.
        l2: float. Of the mixes.

    Returns:
        dict of place to `ScalarMix`, dict of place to (B, L, D).
    """
    inputs = dict(inputs)
    positions = inputs.pop("word_positions", None)
    backbone.trainable = training == "full"
    for layer in backbone.layers:
        if isinstance(layer, ScalarMix):
            layer.trainable = False  # the tagger mixes by itself
    outputs = backbone(inputs)
    gather = GatherWords(name="gather_words") if positions is not None else None

    def of_words(x):
        return x if gather is None else gather(x, positions)

    x = outputs.get("layer_outputs")
    if x is None:
        x = ops.expand_dims(outputs["sequence_output"], 1)
    elif layers == "top":
        x = x[:, -1:]
    # One layer is mixed too: its scale is learned, without which the top layer alone does badly.
    x = x if positions is None else GatherWords(name="gather_words")(x, positions)  # (B, K, L, D)
    mixes = {
        place: ScalarMix(
            x.shape[1], l2=l2, trainable_mix=training != "frozen", name=f"{place}_mix"
        )
        for place in PLACES[at]
    }
    return mixes, {place: mix(x, padding_mask=mask) for place, mix in mixes.items()}
