import keras
from keras import ops


@keras.saving.register_keras_serializable(package="polysemy")
class ScalarMix(keras.layers.Layer):
    """Weighs the layers of a language model into one representation.

    `gamma * sum_k softmax(w)_k h_k`: one learned scalar per layer, one scale. ELMo's equation 1;
    there `gamma` belongs to the task. `w` starts at zero, `gamma` at one: a plain average.

    Shapes: B batch, K layers, L tokens, D features.

    Args:
        num_tensors: int. K; 3 for ELMo (characters, two LSTMs).
        normalize: bool. Norm each layer to mean 0 and variance 1 over all unmasked positions and
            features of the batch, without learned scale, before it is weighed.
        l2: float. Strength of the penalty `l2 * sum(w ** 2)` on `w` alone. 1 keeps the mix near the
            average, 0.001 lets it move.
        dropout: float. Probability that a whole layer is left out of the softmax in a training
            step.
        trainable_mix: bool. False fixes `w` and `gamma` where they stand.
        seed: int or None. Of the dropout.

    Call arguments:
        inputs: (B, K, L, D) float. Lowest layer first.
        padding_mask: (B, L) bool, True at tokens. Optional; padding comes out as zero.
        training: bool.

    Returns:
        (B, L, D) float in the compute dtype.

    Example:
    >>> ScalarMix(num_tensors=3)(keras.ops.ones((2, 3, 7, 4))).shape
    TensorShape([2, 7, 4])

    Reference: [Peters et al., 2018](https://arxiv.org/abs/1802.05365), section 3.2.
    """

    def __init__(
        self,
        num_tensors,
        normalize=False,
        l2=0.0,
        dropout=0.0,
        trainable_mix=True,
        seed=None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        if num_tensors < 1:
            raise ValueError(
                f"`num_tensors` must be at least 1. Received: num_tensors={num_tensors}"
            )
        if not 0 <= dropout < 1:
            raise ValueError(f"`dropout` must be in [0, 1). Received: dropout={dropout}")
        self.num_tensors = num_tensors
        self.normalize = normalize
        self.l2 = l2
        self.dropout = dropout
        self.trainable_mix = trainable_mix
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(seed)

    def build(self, input_shape):
        if input_shape[1] != self.num_tensors:
            raise ValueError(
                "`inputs` must have `num_tensors` layers on axis 1. Received: "
                f"num_tensors={self.num_tensors}, inputs.shape={tuple(input_shape)}"
            )
        self.weights_of_layers = self.add_weight(
            name="weights",
            shape=(self.num_tensors,),
            initializer="zeros",
            regularizer=keras.regularizers.L2(self.l2) if self.l2 else None,
            trainable=self.trainable_mix,
        )
        self.gamma = self.add_weight(
            name="gamma", shape=(), initializer="ones", trainable=self.trainable_mix
        )

    def layer_weights(self, training=False):
        """The softmaxed weight of each layer, (K,) float32; they sum to one."""
        scores = ops.cast(self.weights_of_layers, "float32")
        if training and self.dropout:
            draw = keras.random.uniform((self.num_tensors,), seed=self.seed_generator)
            # If all layers are drawn at once, none is left out: their softmax must stay defined.
            dropped = ops.logical_and(draw < self.dropout, ops.any(draw >= self.dropout))
            scores = ops.where(dropped, -1e9, scores)
        # Not `ops.softmax`, which warns of a single layer.
        return ops.exp(scores - ops.logsumexp(scores))

    def call(self, inputs, padding_mask=None, training=False):
        x = inputs
        if padding_mask is not None:
            mask = ops.cast(ops.expand_dims(ops.expand_dims(padding_mask, 1), -1), x.dtype)
            x = x * mask  # (B, K, L, D)
        if self.normalize:
            x = self._normalize(x, padding_mask)
        weights = ops.cast(self.layer_weights(training) * ops.cast(self.gamma, "float32"), x.dtype)
        # K is small and static: a chain of multiply-adds, which needs no transposed copy of x.
        mixed = weights[0] * x[:, 0]
        for k in range(1, self.num_tensors):
            mixed = mixed + weights[k] * x[:, k]
        return mixed  # (B, L, D)

    def _normalize(self, x, padding_mask):
        x32 = ops.cast(x, "float32")
        if padding_mask is None:
            mask = ops.ones_like(x32[:, :1, :, :1])
        else:
            mask = ops.cast(ops.expand_dims(ops.expand_dims(padding_mask, 1), -1), "float32")
        count = ops.maximum(ops.sum(mask), 1.0) * x.shape[-1]
        mean = ops.sum(x32 * mask, axis=(0, 2, 3), keepdims=True) / count
        variance = ops.sum(ops.square((x32 - mean) * mask), axis=(0, 2, 3), keepdims=True) / count
        return ops.cast((x32 - mean) * ops.rsqrt(variance + 1e-12) * mask, x.dtype)

    def compute_output_shape(self, input_shape):
        return (input_shape[0], *input_shape[2:])

    def get_config(self):
        return {
            **super().get_config(),
            "num_tensors": self.num_tensors,
            "normalize": self.normalize,
            "l2": self.l2,
            "dropout": self.dropout,
            "trainable_mix": self.trainable_mix,
            "seed": self.seed,
        }
