import keras
from keras import ops

from ...layers.affine import affine


@keras.saving.register_keras_serializable(package="polysemy")
class Pooler(keras.layers.Layer):
    """One vector for a text out of those of its tokens.

    "cls": `tanh(W h + b)` of the first token, as BERT trains it for next sentences. "mean": the
    mean of all tokens, [CLS] and [SEP] among them, as Sentence-BERT does; it has no weights.

    Shapes: B batch, L positions, D features.

    Args:
        pooling: "cls" or "mean".
        kernel_initializer: Keras initializer.

    Call arguments:
        sequence_output: (B, L, D) float.
        padding_mask: (B, L) bool, True at tokens; needed for the mean.

    Returns:
        (B, D) in the compute dtype.

    Example:
    >>> Pooler("cls")(keras.ops.ones((2, 3, 4))).shape
    TensorShape([2, 4])

    Reference: [Devlin et al., 2018](https://arxiv.org/abs/1810.04805), section 3;
    [Reimers and Gurevych, 2019](https://arxiv.org/abs/1908.10084), section 3.
    """

    def __init__(self, pooling="cls", kernel_initializer="glorot_uniform", **kwargs):
        super().__init__(**kwargs)
        if pooling not in ("cls", "mean"):
            raise ValueError(f'`pooling` must be "cls" or "mean". Received: pooling={pooling!r}')
        self.pooling = pooling
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.kernel = self.bias = None

    def build(self, sequence_output_shape):
        if self.pooling == "cls":
            dim = sequence_output_shape[-1]
            self.kernel = self.add_weight(
                name="kernel", shape=(dim, dim), initializer=self.kernel_initializer
            )
            self.bias = self.add_weight(name="bias", shape=(dim,), initializer="zeros")

    def call(self, sequence_output, padding_mask=None):
        if self.pooling == "cls":
            return affine(sequence_output[:, 0], self.kernel, self.bias, "tanh")
        if padding_mask is None:
            raise ValueError('`padding_mask` must be given for the pooling "mean". Received: None')
        # In float32: half precision would lose the tail of a long sum.
        mask = ops.cast(ops.expand_dims(padding_mask, -1), "float32")
        total = ops.sum(ops.cast(sequence_output, "float32") * mask, axis=1)
        mean = total / ops.maximum(ops.sum(mask, axis=1), 1.0)
        return ops.cast(mean, self.compute_dtype)

    def compute_output_spec(self, sequence_output, padding_mask=None):
        return keras.KerasTensor(
            (sequence_output.shape[0], sequence_output.shape[-1]), self.compute_dtype
        )

    def get_config(self):
        return {
            **super().get_config(),
            "pooling": self.pooling,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
        }
