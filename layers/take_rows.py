import keras
from keras import ops


@keras.saving.register_keras_serializable(package="polysemy")
class TakeRows(keras.layers.Layer):
    """Puts rows back where they belong: the inverse of `DistinctRows`.

    Shapes: U rows, D features, B batch, L tokens.

    Call arguments:
        inputs: (U, D). indices: (B, L) int32, below U.

    Returns:
        (B, L, D), dtype of `inputs`.

    Example:
    >>> TakeRows()(keras.ops.ones((2, 4)), keras.ops.array([[0, 1, 1]])).shape
    TensorShape([1, 3, 4])
    """

    def call(self, inputs, indices):
        return ops.take(inputs, indices, axis=0)

    def compute_output_spec(self, inputs, indices):
        return keras.KerasTensor((*indices.shape, inputs.shape[-1]), inputs.dtype)
