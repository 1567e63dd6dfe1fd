"""Calls from several threads that become one."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import tensorflow as tf

from polysemy.serving.errors import ServingError
from polysemy.serving.server.gathering import Gathering

LONG = 30.0  # seconds; a test that waits so long has failed


class Doubling:
    """Doubles rows, and keeps how many it was given in each run; may be held back."""

    def __init__(self):
        self.runs = []
        self.started, self.go = threading.Semaphore(0), threading.Event()
        self.go.set()
        self.error = None

    def __call__(self, tensors):
        self.runs.append(len(tensors[0]))
        self.started.release()
        assert self.go.wait(LONG)
        if self.error is not None:
            raise self.error
        return [2 * tensor for tensor in tensors]


@pytest.fixture
def double():
    return Doubling()


@pytest.fixture
def pool():
    with ThreadPoolExecutor(8) as threads:
        yield threads


def rows(*values):
    return [tf.constant(values, tf.float32)]


def call(pool, gathering, *values):
    return pool.submit(lambda: np.asarray(gathering(rows(*values), len(values))[0]).tolist())


def until(condition):
    end = time.monotonic() + LONG
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.001)


def gathered(gathering, count):
    until(lambda: gathering._open is not None and gathering._open.rows == count)


def test_a_full_group_does_not_wait(double, pool):
    gathering = Gathering(double, max_rows=4, seconds=LONG, runs=1)
    first = call(pool, gathering, 1)
    gathered(gathering, 1)
    second = call(pool, gathering, 2, 3)
    gathered(gathering, 3)
    third = call(pool, gathering, 4)
    assert first.result(LONG) == [2]
    assert second.result(LONG) == [4, 6]
    assert third.result(LONG) == [8]
    assert double.runs == [4]


def test_one_that_has_no_room_begins_the_next_group(double, pool):
    gathering = Gathering(double, max_rows=4, seconds=LONG, runs=1)
    first = call(pool, gathering, 1, 2, 3)
    gathered(gathering, 3)
    second = call(pool, gathering, 4, 5)
    assert first.result(LONG) == [2, 4, 6]
    gathered(gathering, 2)
    third = call(pool, gathering, 6, 7)
    assert second.result(LONG) == [8, 10] and third.result(LONG) == [12, 14]
    assert double.runs == [3, 4]


def test_a_large_call_runs_by_itself(double, pool):
    gathering = Gathering(double, max_rows=2, seconds=LONG, runs=1)
    waiting = call(pool, gathering, 1)
    gathered(gathering, 1)
    assert call(pool, gathering, 2, 3, 4).result(LONG) == [4, 6, 8]
    assert call(pool, gathering, 5).result(LONG) == [10] and waiting.result(LONG) == [2]
    assert double.runs == [3, 2]


@pytest.mark.parametrize("seconds", [0.0, 0.01])
def test_while_as_many_as_may_are_running_later_ones_gather(double, pool, seconds):
    gathering = Gathering(double, max_rows=8, seconds=seconds, runs=1)
    double.go.clear()
    first = call(pool, gathering, 1)
    assert double.started.acquire(timeout=LONG)
    others = [call(pool, gathering, value) for value in range(2, 6)]
    gathered(gathering, 4)
    double.go.set()
    assert first.result(LONG) == [2]
    assert [other.result(LONG) for other in others] == [[4], [6], [8], [10]]
    assert double.runs == [1, 4]


def test_full_groups_go_on_while_others_run(double, pool):
    """How many may queue is the batcher's to decide, which refuses what is too much."""
    gathering = Gathering(double, max_rows=2, seconds=0.0, runs=1)
    double.go.clear()
    calls = [call(pool, gathering, 1)]
    assert double.started.acquire(timeout=LONG)
    calls += [call(pool, gathering, value) for value in (2, 3)]
    assert double.started.acquire(timeout=LONG)
    double.go.set()
    assert sorted(each.result(LONG)[0] for each in calls) == [2, 4, 6]
    assert double.runs == [1, 2]


def test_an_error_is_everyones_and_passes(double, pool):
    gathering = Gathering(double, max_rows=2, seconds=LONG, runs=1)
    double.error = tf.errors.UnavailableError(None, None, "full")
    for each in [call(pool, gathering, 1), call(pool, gathering, 2)]:
        with pytest.raises(tf.errors.UnavailableError, match="full"):
            each.result(LONG)
    double.error = None
    calls = [call(pool, gathering, 3), call(pool, gathering, 4)]
    assert sorted(each.result(LONG)[0] for each in calls) == [6, 8]


def test_unlike_shapes_are_refused(double, pool):
    gathering = Gathering(double, max_rows=2, seconds=LONG, runs=1)
    calls = [pool.submit(gathering, [tf.ones([1, size])], 1) for size in (2, 3)]
    for each in calls:
        with pytest.raises(ServingError, match="FAILED_PRECONDITION: Tensors with the same name"):
            each.result(LONG)
    assert not double.runs
    assert gathering([tf.ones([2, 3])], 2)[0].shape == (2, 3)


def test_every_call_gets_its_own_rows_under_load(double):
    gathering = Gathering(double, max_rows=5, seconds=0.001, runs=2)

    def ask(value):
        count = value % 3 + 1
        got = gathering(rows(*[value] * count), count)[0]
        return np.asarray(got).tolist() == [2.0 * value] * count

    with ThreadPoolExecutor(16) as pool:
        assert all(pool.map(ask, range(600)))
    assert sum(double.runs) == sum(value % 3 + 1 for value in range(600))
    assert max(double.runs) <= 5 and len(double.runs) < 600
