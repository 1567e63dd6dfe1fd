import keras

from .model import ZooModel


class Backbone(ZooModel):
    """A model that turns text, given as numbers, into contextual representations.

    Outputs follow these names, as far as the model has them, so that any head and any recipe can
    read any backbone: `sequence_output` (B, L, D), one vector per token; `layer_outputs` (B, K, L,
    D), every layer, lowest first; `pooled_output` (B, D), one vector per text. A plain embedding
    table has only the first. If tokens are split into pieces, the preprocessor's `word_positions`
    (B, W) says which position stands for each word.
    """

    #: True if the preprocessor splits words into pieces and hands out `word_positions`.
    splits_words = False


def fresh_inputs(backbone, prefix=""):
    """Inputs for a model around a backbone: shapes and dtypes of its own, by its names for them.

    Args:
        backbone: `Backbone`.
        prefix: str. Put before a name in the new model's graph.
    """
    return {
        name: keras.Input(x.shape[1:], dtype=x.dtype, name=f"{prefix}{name}")
        for name, x in backbone.input.items()
    }
