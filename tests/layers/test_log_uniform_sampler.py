import numpy as np
import pytest
import tensorflow as tf

from polysemy.layers.log_uniform_sampler import LogUniformSampler

DRAWS = 4000


def empirical(draw, range_max):
    """How often each id is in a draw of distinct ids, out of `DRAWS` draws."""
    many = tf.function(lambda: tf.map_fn(lambda _: draw(), tf.zeros(DRAWS, tf.int32)))
    ids = np.array(many())
    assert all(len(set(row)) == len(row) for row in ids.tolist())
    return np.bincount(ids.ravel(), minlength=range_max) / DRAWS


def test_frequencies_are_the_expected_ones_and_tensorflows():
    range_max, num_sampled = 40, 12
    sampler = LogUniformSampler(range_max, num_sampled, seed=1)
    found = empirical(sampler, range_max)
    expected = np.exp(sampler.log_expected_count(np.arange(range_max)))
    assert expected.sum() == pytest.approx(num_sampled, rel=1e-5)
    # The formula takes the number of tries as fixed at its mean, which costs some thousandths.
    error = 4 * np.sqrt(0.25 / DRAWS)
    np.testing.assert_allclose(found, expected, atol=error)

    def tensorflows():
        ids, *_ = tf.random.log_uniform_candidate_sampler(
            tf.zeros((1, 1), tf.int64), 1, num_sampled, True, range_max, seed=1
        )
        return tf.cast(ids, tf.int32)

    np.testing.assert_allclose(found, empirical(tensorflows, range_max), atol=error * 2**0.5)


def test_expected_counts_are_tensorflows():
    """TensorFlow puts the tries of this draw into the formula, ours their mean."""
    range_max, num_sampled = 2000, 500
    targets = np.arange(range_max)[:, None]
    _, counts, _ = tf.random.log_uniform_candidate_sampler(
        targets, 1, num_sampled, True, range_max, seed=2
    )
    ours = np.exp(LogUniformSampler(range_max, num_sampled).log_expected_count(targets))
    np.testing.assert_allclose(ours, counts, rtol=0.1)


def test_every_id_is_drawn_if_all_are_wanted():
    for range_max in (1, 7):
        sampler = LogUniformSampler(range_max, range_max, seed=1)
        assert sorted(np.array(sampler()).tolist()) == list(range(range_max))
        np.testing.assert_array_equal(sampler.log_expected_count(np.arange(range_max)), 0)


def test_draws_follow_the_seed():
    def draws(seed):
        sampler = LogUniformSampler(100, 5, seed)
        return [sorted(np.array(sampler()).tolist()) for _ in range(3)]

    assert draws(1) == draws(1) != draws(2)
    assert len({tuple(draw) for draw in draws(1)}) == 3


@pytest.mark.parametrize("num_sampled", [0, 6])
def test_number_is_checked(num_sampled):
    with pytest.raises(ValueError, match=f"num_sampled={num_sampled}, range_max=5"):
        LogUniformSampler(5, num_sampled)
