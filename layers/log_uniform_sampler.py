import keras
import numpy as np
from keras import ops


class LogUniformSampler:
    """Draws distinct word ids, frequent words more often: `p(k) = log((k + 2) / (k + 1)) / log(V + 1)`.

    Ids must be sorted by falling frequency. The draw is without replacement, by adding Gumbel noise to
    `log p` and keeping the largest S: the same distribution as drawing until S ids are distinct.

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
        tries = _expected_tries(probabilities, num_sampled)
        # How often an id is expected among `tries` draws that ended with S distinct ones.
        inclusion = -np.expm1(tries * np.log1p(-probabilities))
        self._log_expected_counts = np.log(inclusion).astype("float32")

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


def _expected_tries(probabilities, num_sampled):
    """Solves `sum_k 1 - (1 - p_k) ** tries = num_sampled` for the number of draws."""
    if num_sampled == len(probabilities):
        return np.inf
    log_miss = np.log1p(-probabilities)
    low, high = 0.0, 1.0
    while -np.expm1(high * log_miss).sum() < num_sampled:
        high *= 2
    for _ in range(100):
        middle = (low + high) / 2
        low, high = (
            (middle, high)
            if -np.expm1(middle * log_miss).sum() < num_sampled
            else (low, middle)
        )
    return high
