"""Results that other threads leave for an event loop."""

import asyncio
import threading

import pytest

from polysemy.serving.server.outbox import Outbox


def in_thread(function, *arguments):
    thread = threading.Thread(target=function, args=arguments)
    thread.start()
    return thread


def test_results_and_errors_arrive():
    async def run():
        outbox, loop = Outbox(), asyncio.get_running_loop()
        futures = [loop.create_future() for _ in range(200)]

        def put():
            for i, future in enumerate(futures):
                outbox.put(future, i, ValueError(str(i)) if i % 3 == 0 else None)

        thread = in_thread(put)
        found = await asyncio.gather(*futures, return_exceptions=True)
        thread.join()
        return found

    found = asyncio.run(run())
    assert [value for value in found if isinstance(value, int)] == [i for i in range(200) if i % 3]
    errors = [error for error in found if isinstance(error, ValueError)]
    assert [str(error) for error in errors] == [str(i) for i in range(0, 200, 3)]


def test_who_has_gone_away_is_passed_over():
    async def run():
        outbox, loop = Outbox(), asyncio.get_running_loop()
        gone, staying = loop.create_future(), loop.create_future()
        gone.cancel()
        for future in (gone, staying):
            outbox.put(future, 1, None)
        assert await staying == 1
        with pytest.raises(asyncio.CancelledError):
            await gone

    asyncio.run(run())


def test_a_closed_loop_is_nobody_who_waits():
    async def make():
        return Outbox(), asyncio.get_running_loop().create_future()

    outbox, future = asyncio.run(make())
    outbox.put(future, 1, None)
    assert not future.done()
