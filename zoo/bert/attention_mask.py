import keras
from keras import ops

from ...layers.masks import causal_attention_mask, combine_masks, padding_attention_mask


@keras.saving.register_keras_serializable(package="polysemy")
class AttentionMask(keras.layers.Layer):
    """Says which positions may attend to which: no one to padding, and with `causal` none ahead.

    A layer, since the number of positions is known only where the graph runs.

    Shapes: B batch, L positions.

    Args:
        causal: bool.

    Call arguments:
        padding_mask: (B, L) bool, True at tokens.

    Returns:
        (B, 1, 1, L) bool, or (B, 1, L, L) with `causal`.

    Example:
    >>> mask = keras.ops.array([[True, True, False]])
    >>> keras.ops.convert_to_numpy(AttentionMask(causal=True)(mask))[0, 0, :2].tolist()
    [[True, False, False], [True, True, False]]
    """

    def __init__(self, causal=False, **kwargs):
        super().__init__(**kwargs)
        self.causal = causal

    def call(self, padding_mask):
        hidden = padding_attention_mask(padding_mask)
        if not self.causal:
            return hidden
        length = ops.shape(padding_mask)[1]
        return combine_masks(hidden, causal_attention_mask(length, length))

    def compute_output_spec(self, padding_mask):
        batch_size, length = padding_mask.shape
        queries = length if self.causal else 1
        return keras.KerasTensor((batch_size, 1, queries, length), "bool")

    def get_config(self):
        return {**super().get_config(), "causal": self.causal}
