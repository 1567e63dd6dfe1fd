"""Calls from several threads that become one."""

import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
import pytest
import tensorflow as tf

from polysemy.serving.errors import ServingError
from polysemy.serving.server.cancellation import Cancellation
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


def submit(gathering, inputs, cancellation=None):
    """A future of the outputs."""
    future = Future()

    def done(outputs, error):
        if error is None:
            future.set_result([np.asarray(output) for output in outputs])
        else:
            future.set_exception(error)

    gathering.submit(inputs, len(inputs[0]), done, cancellation)
    return future


class Call:
    def __init__(self, gathering, *values, cancellation=None):
        self._future = submit(gathering, [np.array(values, "float32")], cancellation)

    def result(self):
        return self._future.result(LONG)[0].tolist()


def until(condition):
    end = time.monotonic() + LONG
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.001)


def gathered(gathering, count):
    until(lambda: gathering._open is not None and gathering._open.rows == count)


def test_a_full_group_does_not_wait(double):
    gathering = Gathering(double, max_rows=4, seconds=LONG, runs=1, queued=4)
    first = Call(gathering, 1)
    gathered(gathering, 1)
    second = Call(gathering, 2, 3)
    gathered(gathering, 3)
    third = Call(gathering, 4)
    assert first.result() == [2]
    assert second.result() == [4, 6]
    assert third.result() == [8]
    assert double.runs == [4]


def test_one_that_has_no_room_begins_the_next_group(double):
    gathering = Gathering(double, max_rows=4, seconds=LONG, runs=1, queued=4)
    first = Call(gathering, 1, 2, 3)
    gathered(gathering, 3)
    second = Call(gathering, 4, 5)
    assert first.result() == [2, 4, 6]
    gathered(gathering, 2)
    third = Call(gathering, 6, 7)
    assert second.result() == [8, 10] and third.result() == [12, 14]
    assert double.runs == [3, 4]


def test_a_large_call_runs_by_itself(double):
    gathering = Gathering(double, max_rows=2, seconds=LONG, runs=1, queued=4)
    waiting = Call(gathering, 1)
    gathered(gathering, 1)
    assert Call(gathering, 2, 3, 4).result() == [4, 6, 8]
    assert Call(gathering, 5).result() == [10] and waiting.result() == [2]
    assert double.runs == [3, 2]


@pytest.mark.parametrize("seconds", [0.0, 0.01])
def test_while_as_many_as_may_are_running_later_ones_gather(double, seconds):
    gathering = Gathering(double, max_rows=8, seconds=seconds, runs=1, queued=4)
    double.go.clear()
    first = Call(gathering, 1)
    assert double.started.acquire(timeout=LONG)
    others = [Call(gathering, value) for value in range(2, 6)]
    gathered(gathering, 4)
    double.go.set()
    assert first.result() == [2]
    assert [other.result() for other in others] == [[4], [6], [8], [10]]
    assert double.runs == [1, 4]


def test_full_groups_go_on_while_others_run(double):
    """How many may queue is the batcher's to decide, which refuses what is too much."""
    gathering = Gathering(double, max_rows=2, seconds=0.0, runs=1, queued=4)
    double.go.clear()
    calls = [Call(gathering, 1)]
    assert double.started.acquire(timeout=LONG)
    calls += [Call(gathering, value) for value in (2, 3)]
    assert double.started.acquire(timeout=LONG)
    double.go.set()
    assert sorted(each.result()[0] for each in calls) == [2, 4, 6]
    assert double.runs == [1, 2]


def test_an_error_is_everyones_and_passes(double):
    gathering = Gathering(double, max_rows=2, seconds=LONG, runs=1, queued=4)
    double.error = tf.errors.UnavailableError(None, None, "full")
    for each in [Call(gathering, 1), Call(gathering, 2)]:
        with pytest.raises(tf.errors.UnavailableError, match="full"):
            each.result()
    double.error = None
    calls = [Call(gathering, 3), Call(gathering, 4)]
    assert sorted(each.result()[0] for each in calls) == [6, 8]


def test_unlike_shapes_are_refused(double):
    gathering = Gathering(double, max_rows=2, seconds=LONG, runs=1, queued=4)
    for future in [submit(gathering, [np.ones((1, size))]) for size in (2, 3)]:
        with pytest.raises(ServingError, match="FAILED_PRECONDITION: Tensors with the same name"):
            future.result(LONG)
    assert not double.runs
    assert submit(gathering, [np.ones((2, 3))]).result(LONG)[0].shape == (2, 3)


def test_who_has_given_up_is_not_run(double):
    gathering = Gathering(double, max_rows=6, seconds=LONG, runs=1, queued=4)
    gone, late = Cancellation(), Cancellation(deadline=time.monotonic() + 0.1)
    first = Call(gathering, 1)
    cancelled = Call(gathering, 2, 3, cancellation=gone)
    too_late = Call(gathering, 4, cancellation=late)
    gone.cancel()
    until(lambda: late.late)
    last = Call(gathering, 5, 6, cancellation=Cancellation(time.monotonic() + LONG))
    assert first.result() == [2] and last.result() == [10, 12]
    with pytest.raises(ServingError, match="CANCELLED"):
        cancelled.result()
    with pytest.raises(ServingError, match="DEADLINE_EXCEEDED"):
        too_late.result()
    assert double.runs == [3]


def test_a_group_that_everyone_has_given_up(double):
    gathering = Gathering(double, max_rows=2, seconds=LONG, runs=1, queued=4)
    gone = Cancellation()
    calls = [Call(gathering, 1, cancellation=gone)]
    gone.cancel()
    calls.append(Call(gathering, 2, cancellation=gone))
    for call in calls:
        with pytest.raises(ServingError, match="CANCELLED"):
            call.result()
    assert not double.runs
    calls = [Call(gathering, 3), Call(gathering, 4)]
    assert sorted(each.result()[0] for each in calls) == [6, 8] and double.runs == [2]


def test_every_call_gets_its_own_rows_under_load(double):
    gathering = Gathering(double, max_rows=5, seconds=0.001, runs=2, queued=4)

    def ask(value):
        count = value % 3 + 1
        return Call(gathering, *[value] * count).result() == [2.0 * value] * count

    with ThreadPoolExecutor(16) as pool:
        assert all(pool.map(ask, range(600)))
    assert sum(double.runs) == sum(value % 3 + 1 for value in range(600))
    assert max(double.runs) <= 5 and len(double.runs) < 600


def test_its_threads_end_with_it(double):
    before = set(threading.enumerate())
    gathering = Gathering(double, max_rows=2, seconds=0.0, runs=2, queued=4)
    assert Call(gathering, 1).result() == [2]
    made = [thread for thread in threading.enumerate() if thread not in before]
    assert made
    del gathering
    for thread in made:
        thread.join(LONG)
        assert not thread.is_alive()
