import keras
from keras import ops

from .affine import affine


@keras.saving.register_keras_serializable(package="polysemy")
class NextSentenceHead(keras.layers.Layer):
    """Scores whether the second segment follows the first: class 0 if so, 1 if it is random.

    Shapes: B batch, D features.

    Args:
        kernel_initializer: Keras initializer.

    Call arguments:
        pooled_output: (B, D) float.

    Returns:
        (B, 2) float32 logits.

    Example:
    >>> NextSentenceHead()(keras.ops.ones((3, 4))).shape
    TensorShape([3, 2])

    Reference: [Devlin et al., 2018](https://arxiv.org/abs/1810.04805), section 3.1; the order of
    the classes is that of its program.
    """

    def __init__(self, kernel_initializer="glorot_uniform", **kwargs):
        super().__init__(**kwargs)
        self.kernel_initializer = keras.initializers.get(kernel_initializer)

    def build(self, input_shape):
        self.kernel = self.add_weight(
            name="kernel", shape=(input_shape[-1], 2), initializer=self.kernel_initializer
        )
        self.bias = self.add_weight(name="bias", shape=(2,), initializer="zeros")

    def call(self, pooled_output):
        return ops.cast(affine(pooled_output, self.kernel, self.bias), "float32")

    def compute_output_spec(self, pooled_output):
        return keras.KerasTensor((pooled_output.shape[0], 2), "float32")

    def get_config(self):
        return {
            **super().get_config(),
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
        }
