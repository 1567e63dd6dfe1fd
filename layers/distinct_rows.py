import keras
from keras import ops


@keras.saving.register_keras_serializable(package="polysemy")
class DistinctRows(keras.layers.Layer):
    """Finds the distinct rows of an integer tensor, so that costly work is done once for each.

    `rows[indices]` is the input again. A batch of running text repeats about two words in three.

    `keras.ops` has no unique: this layer calls TensorFlow's exact one where TensorFlow is the
    backend. Elsewhere shapes must be known when the graph is compiled; there all rows are handed
    through.

    Shapes: B batch, L tokens, C columns, U distinct rows (not known before the graph runs).

    Call arguments:
        inputs: (B, L, C) int32.

    Returns:
        rows (U, C) int32 and indices (B, L) int32.

    Example:
    >>> rows, indices = DistinctRows()(keras.ops.array([[[7, 8], [7, 8], [1, 2]]]))
    >>> rows.shape, indices.shape
    (TensorShape([2, 2]), TensorShape([1, 3]))
    """

    def call(self, inputs):
        shape = ops.shape(inputs)
        rows = ops.cast(ops.reshape(inputs, (-1, shape[-1])), "int32")
        if keras.config.backend() == "tensorflow":
            import tensorflow as tf

            rows, indices = tf.raw_ops.UniqueV2(x=rows, axis=[0])
        else:
            indices = ops.arange(ops.shape(rows)[0], dtype="int32")
        return rows, ops.reshape(indices, shape[:-1])

    def compute_output_spec(self, inputs):
        return (
            keras.KerasTensor((None, inputs.shape[-1]), "int32"),
            keras.KerasTensor(inputs.shape[:-1], "int32"),
        )
