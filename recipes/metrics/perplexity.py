"""Perplexity over a stream of losses."""

import keras


@keras.saving.register_keras_serializable(package="polysemy")
class Perplexity(keras.metrics.Mean):
    """`exp` of the mean negative log-likelihood per token, in nats.

    The mean runs over all tokens since the last reset, not over batches: batches of different
    sizes weigh as many tokens as they hold.

    Call arguments:
        values: negative log-likelihoods, any shape.
        sample_weight: same shape, 1 at tokens and 0 at padding; or, when `values` are means over
            batches, the number of tokens of each. Optional.

    Returns:
        scalar float, at least 1 for true probabilities; 1 before the first token.

    Example:
    >>> import math
    >>> metric = Perplexity()
    >>> metric.update_state([math.log(2), math.log(8), 99.0], sample_weight=[1, 1, 0])
    >>> round(float(metric.result()), 4)
    4.0
    """

    def __init__(self, name: str = "perplexity", dtype=None):
        super().__init__(name=name, dtype=dtype)
        self._direction = "down"

    def result(self):
        return keras.ops.exp(super().result())
