import keras
from keras import ops


@keras.saving.register_keras_serializable(package="polysemy")
class GatherWords(keras.layers.Layer):
    """Picks the vectors that stand for words out of the vectors of their pieces.

    Shapes: B batch, K layers, P pieces, W words, D features.

    Call arguments:
        inputs: (B, P, D) or (B, K, P, D) float.
        positions: (B, W) int. Where in P each word stands, usually its first piece; 0 at padding.

    Returns:
        (B, W, D) or (B, K, W, D), dtype of `inputs`.

    Example:
    >>> pieces = keras.ops.reshape(keras.ops.arange(6.0), (1, 3, 2))
    >>> keras.ops.convert_to_numpy(GatherWords()(pieces, keras.ops.array([[2, 0]]))).tolist()
    [[[4.0, 5.0], [0.0, 1.0]]]

    Reference: [Devlin et al., 2018](https://arxiv.org/abs/1810.04805), section 5.3: the first piece
    is tagged.
    """

    def call(self, inputs, positions):
        positions = ops.expand_dims(ops.cast(positions, "int32"), -1)  # (B, W, 1)
        if len(inputs.shape) == 4:
            positions = ops.expand_dims(positions, 1)
        return ops.take_along_axis(inputs, positions, axis=-2)

    def compute_output_spec(self, inputs, positions):
        shape = (*inputs.shape[:-2], positions.shape[1], inputs.shape[-1])
        return keras.KerasTensor(shape, inputs.dtype)
