import keras
from keras import ops


@keras.saving.register_keras_serializable(package="polysemy")
class SentenceBoundaries(keras.layers.Layer):
    """Puts a begin row before and an end row behind the tokens of each sentence.

    Shapes: B batch, L tokens, C columns.

    Args:
        begin: list of C int. The row of the beginning.
        end: list of C int. The row of the end; it follows the last token, padding comes after.

    Call arguments:
        inputs: (B, L, C) int. Zeros at padding.
        padding_mask: (B, L) bool, True at tokens; padding on the right.

    Returns:
        (B, L + 2, C) int32 and its mask (B, L + 2) bool.

    Example:
    >>> layer = SentenceBoundaries(begin=[8, 8], end=[9, 9])
    >>> ids, mask = layer(keras.ops.array([[[1, 2], [0, 0]]]), keras.ops.array([[True, False]]))
    >>> keras.ops.convert_to_numpy(ids)[0].tolist()
    [[8, 8], [1, 2], [9, 9], [0, 0]]
    """

    def __init__(self, begin, end, **kwargs):
        super().__init__(**kwargs)
        if len(begin) != len(end):
            raise ValueError(
                "`begin` and `end` must be of one length. Received: "
                f"len(begin)={len(begin)}, len(end)={len(end)}"
            )
        self.begin = [int(i) for i in begin]
        self.end = [int(i) for i in end]

    def call(self, inputs, padding_mask):
        mask = ops.cast(padding_mask, "int32")
        ids = ops.cast(inputs, "int32") * mask[:, :, None]
        ids = ops.pad(ids, [[0, 0], [1, 1], [0, 0]])  # (B, L + 2, C)
        # Position 0 begins, the position behind the last token ends; neither holds a token.
        with_begin = ops.pad(mask, [[0, 0], [1, 1]], constant_values=1)[:, :-1]
        with_begin = ops.pad(with_begin, [[0, 0], [0, 1]])  # 1 at begin and tokens
        with_end = ops.pad(mask, [[0, 0], [2, 0]], constant_values=1)  # 1 up to the end row
        is_end = (with_end - with_begin)[:, :, None]
        is_begin = (with_begin - ops.pad(mask, [[0, 0], [1, 1]]))[:, :, None]
        begin = ops.convert_to_tensor(self.begin, "int32")
        end = ops.convert_to_tensor(self.end, "int32")
        return ids + is_begin * begin + is_end * end, ops.cast(with_end, "bool")

    def compute_output_spec(self, inputs, padding_mask):
        length = None if inputs.shape[1] is None else inputs.shape[1] + 2
        return (
            keras.KerasTensor((inputs.shape[0], length, inputs.shape[2]), "int32"),
            keras.KerasTensor((inputs.shape[0], length), "bool"),
        )

    def get_config(self):
        return {**super().get_config(), "begin": self.begin, "end": self.end}
