import numpy as np
import pytest

from polysemy.recipes.metrics import Perplexity


def test_mean_runs_over_tokens_not_batches():
    losses = [np.array([[1.0, 3.0]], "float32"), np.array([[2.0, 7.0, 9.0]], "float32")]
    weights = [np.array([[1, 1]]), np.array([[1, 0, 0]])]
    metric = Perplexity()
    for loss, weight in zip(losses, weights, strict=True):
        metric.update_state(loss, sample_weight=weight)
    assert float(metric.result()) == pytest.approx(np.exp(2.0))
    metric.reset_state()
    assert float(metric.result()) == 1.0
    metric.update_state([2.0, 5.0], sample_weight=[30, 10])  # means of 30 and of 10 tokens
    assert float(metric.result()) == pytest.approx(np.exp(2.75))
