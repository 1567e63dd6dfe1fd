import keras
from keras import ops

from .log_uniform_sampler import LogUniformSampler
from .tied_head import TiedHead


@keras.saving.register_keras_serializable(package="polysemy")
class LMHead(TiedHead):
    """Scores the words of a vocabulary: `h E^T + b`, with a full or a sampled softmax.

    With `num_sampled`, a training step compares each target with one draw of that many words,
    shared by all positions, and corrects every score by the log of the word's expected count in the
    draw. Evaluation always uses the whole vocabulary. Ids must be sorted by falling frequency for
    the draw.

    Shapes: D features, V vocabulary_size, S num_sampled; the leading axes are free.

    Args:
        vocabulary_size: int. V.
        num_sampled: int or None. S.
        tie_to: keras.layers.Embedding or None. Use its (V, D) weights; only the bias is the head's
            own.
        seed: int or None. Of the draw.

    Call arguments:
        inputs: (..., D) float.
        targets: (...) int. Optional.
        training: bool.

    Returns:
        Without targets the logits (..., V), float32. With targets the cross-entropy of each
        position (...), float32, in nats.

    Example:
    >>> head = LMHead(vocabulary_size=10)
    >>> head(keras.ops.ones((2, 3, 4))).shape
    TensorShape([2, 3, 10])
    >>> head(keras.ops.ones((2, 3, 4)), targets=keras.ops.ones((2, 3), "int32")).shape
    TensorShape([2, 3])

    Reference: [Jean et al., 2015](https://arxiv.org/abs/1412.2007) for the sampled softmax.
    """

    def __init__(self, vocabulary_size, num_sampled=None, tie_to=None, seed=None, **kwargs):
        super().__init__(vocabulary_size, tie_to, **kwargs)
        self.supports_masking = True
        self.num_sampled = num_sampled
        self.seed = seed
        self.sampler = None
        if num_sampled is not None:
            self.sampler = LogUniformSampler(vocabulary_size, num_sampled, seed)
            # Keras saves and restores the generators that it finds on the layer itself.
            self.seed_generator = self.sampler.seed_generator

    def build(self, inputs_shape, targets_shape=None):
        dim = inputs_shape[-1]
        if self.tie_to is None:
            self.kernel = self.add_weight(
                name="kernel",
                shape=(self.vocabulary_size, dim),
                initializer=keras.initializers.RandomNormal(stddev=dim**-0.5),
            )
        elif self.tie_to.input_dim != self.vocabulary_size or self.tie_to.output_dim != dim:
            raise ValueError(
                "`tie_to` must have `vocabulary_size` rows as wide as the inputs. Received: tie_to "
                f"of shape ({self.tie_to.input_dim}, {self.tie_to.output_dim}), "
                f"vocabulary_size={self.vocabulary_size}, inputs.shape={tuple(inputs_shape)}"
            )
        elif not self.tie_to.built:
            self.tie_to.build()
        self.bias = self.add_weight(name="bias", shape=(self.vocabulary_size,), initializer="zeros")

    def _matrix(self):
        return self.kernel if self.tie_to is None else self.tie_to.embeddings

    def call(self, inputs, targets=None, training=False):
        if targets is not None and training and self.sampler is not None:
            return self._sampled_loss(inputs, targets, self.sampler)
        matrix = ops.cast(self._matrix(), self.compute_dtype)
        logits = ops.cast(ops.matmul(inputs, ops.transpose(matrix)), "float32")
        logits = logits + ops.cast(self.bias, "float32")
        if targets is None:
            return logits
        return ops.sparse_categorical_crossentropy(targets, logits, from_logits=True)

    def _sampled_loss(self, inputs, targets, sampler):
        shape = ops.shape(targets)
        x = ops.reshape(inputs, (-1, inputs.shape[-1]))  # (N, D)
        targets = ops.cast(ops.reshape(targets, (-1,)), "int32")
        sampled = sampler()  # (S,)
        # One gather for both, so that the gradient of the matrix is one sparse update.
        ids = ops.concatenate([targets, sampled])
        rows = ops.cast(ops.take(self._matrix(), ids, axis=0), self.compute_dtype)
        offsets = ops.cast(ops.take(self.bias, ids, axis=0), "float32")
        offsets = offsets - sampler.log_expected_count(ids)
        count = ops.shape(targets)[0]
        true = ops.cast(ops.sum(x * rows[:count], axis=-1), "float32") + offsets[:count]  # (N,)
        # The offsets ride along as one more feature: one pass less over the largest array.
        x = ops.concatenate([x, ops.ones_like(x[:, :1])], axis=-1)
        offset = ops.cast(offsets[count:, None], self.compute_dtype)
        noise_rows = ops.concatenate([rows[count:], offset], axis=-1)
        noise = ops.cast(ops.matmul(x, ops.transpose(noise_rows)), "float32")  # (N, S)
        # A target that was drawn as noise has the same score there and must not count twice.
        drawn = ops.scatter(sampled[:, None], ops.ones_like(sampled), (self.vocabulary_size,))
        once_more = ops.where(ops.take(drawn, targets) > 0, -1e9, 0.0)
        total = ops.logaddexp(ops.logsumexp(noise, axis=-1), true + once_more)
        return ops.reshape(total - true, shape)

    def compute_output_spec(self, inputs, targets=None, training=False):
        targets_shape = None if targets is None else targets.shape
        return keras.KerasTensor(self.compute_output_shape(inputs.shape, targets_shape), "float32")

    def compute_output_shape(self, inputs_shape, targets_shape=None):
        if targets_shape is not None:
            return targets_shape
        return (*inputs_shape[:-1], self.vocabulary_size)

    def get_config(self):
        return {
            **super().get_config(),
            "num_sampled": self.num_sampled,
            "seed": self.seed,
        }
