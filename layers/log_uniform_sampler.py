import keras
import numpy as np
from keras import ops


class LogUniformSampler:
    """Draws distinct word ids, frequent words more often.

    In one try id k has `p(k) = log((k + 2) / (k + 1)) / log(V + 1)`. Ids must be sorted by falling
    frequency. The draw is without replacement, by adding Gumbel noise to `log p` and keeping the
    largest S: the same distribution as drawing until S ids are distinct.

    Shapes: V range_max, S num_sampled.

    Args:
        range_max: int. V.
        num_sampled: int. S, at most V.
        seed: int or None.

    Example:
    >>> LogUniformSampler(range_max=100, num_sampled=8, seed=1)().shape
    TensorShape([8])

    Reference: the log-uniform candidate sampler of TensorFlow, with which the biLM of
    [Peters et al., 2018](https://arxiv.org/abs/1802.05365) was trained.
    """

    def __init__(self, range_max, num_sampled, seed=None):
        if not 1 <= num_sampled <= range_max:
            raise ValueError(
                "`num_sampled` must be between 1 and `range_max`. Received: "
                f"num_sampled={num_sampled}, range_max={range_max}"
            )
        self.range_max = range_max
        self.num_sampled = num_sampled
        self.seed_generator = keras.random.SeedGenerator(seed)
        k = np.arange(range_max, dtype="float64")
        probabilities = np.log((k + 2) / (k + 1)) / np.log(range_max + 1)
        self._log_probabilities = np.log(probabilities).astype("float32")
        self._log_expected_counts = np.log(_inclusion(probabilities, num_sampled)).astype("float32")

    def __call__(self):
        """Draws S distinct ids, (S,) int32."""
        uniform = keras.random.uniform(
            (self.range_max,), minval=1e-20, maxval=1.0, seed=self.seed_generator
        )
        gumbel = -ops.log(-ops.log(uniform))
        _, ids = ops.top_k(gumbel + self._log_probabilities, self.num_sampled, sorted=False)
        return ops.cast(ids, "int32")

    def log_expected_count(self, ids):
        """Log of the expected count of `ids` in one draw, float32, shape of `ids`."""
        return ops.take(ops.convert_to_tensor(self._log_expected_counts), ids)


def _inclusion(probabilities, num_sampled):
    """How often each id is expected in a draw that goes on until `num_sampled` ids are distinct.

    That is `1 - (1 - p_k) ** tries`; the number of tries is the one at which these sum to
    `num_sampled`.
    """
    if num_sampled == len(probabilities):
        return np.ones_like(probabilities)

    def inclusion(tries):
        return -np.expm1(tries * np.log1p(-probabilities))

    low, high = 0.0, 1.0
    while inclusion(high).sum() < num_sampled:
        high *= 2
    for _ in range(100):
        middle = (low + high) / 2
        enough = inclusion(middle).sum() >= num_sampled
        low, high = (low, middle) if enough else (middle, high)
    return inclusion(high)
