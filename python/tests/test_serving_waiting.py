"""Who waits for answers in event loops, and what is left in memory."""
import asyncio
import gc
import json
import os
import time

import numpy as np
import pytest

import quern
from models import mlp
from quern.serving import Limits, OverloadedError, Settings
from quern.serving.rest import Endpoints, not_found
from quern.serving.waiting import Overdue, answered
from serving_cases import folder, rows, serve  # noqa: F401


def test_requests_leave_nothing_to_the_garbage_collector(folder):
    """A collection stops all requests: what they need comes back when they are answered."""
    async def receive():
        return {"type": "http.request", "body": body}

    async def send(message):
        sent.append(message)
    message = {"inputs": [{"name": "x", "datatype": "FP32", "shape": [1, 10], "data": [0.5] * 10}]}
    body, sent = json.dumps(message).encode(), []
    scope = {"type": "http", "method": "POST", "path": "/v2/models/mlp/infer", "headers": []}
    service = serve(folder, settings=Settings(batch_sizes=[1, 8], max_delay_ms=1))
    ask = Endpoints(not_found, service)

    async def ask_often():
        for _ in range(25):
            await asyncio.gather(*(ask(scope, receive, send) for _ in range(8)))

    async def counted():
        await ask_often()
        gc.collect()
        gc.disable()
        try:
            await ask_often()
            return gc.collect()
        finally:
            gc.enable()
    assert asyncio.run(counted()) < 100
    assert {found["status"] for found in sent if "status" in found} == {200}
    service.stop(10)


def test_a_replica_keeps_what_is_there_from_the_garbage_collector(folder):
    """As the server does: what a collection looks through is what requests have made since."""
    from quern.serving.ray import Replica
    before = gc.get_freeze_count()
    replica = Replica(str(folder), Settings(threads=1), Limits(), 0)
    try:
        assert gc.get_freeze_count() > before + 10_000
        assert asyncio.run(replica.infer("mlp", {"x": rows(2)}))["y"].shape[0] == 2
    finally:
        gc.unfreeze()
        replica._service.stop(10)


def test_an_event_loop_is_woken_once_for_what_is_answered_together(folder):
    service = serve(folder, settings=Settings(batch_sizes=[1, 64], max_delay_ms=200))

    async def run():
        loop = asyncio.get_running_loop()
        calls, call = [], loop.call_soon_threadsafe
        loop.call_soon_threadsafe = lambda *given: (calls.append(given), call(*given))
        tickets = [service.submit("mlp", {"x": rows(1, seed=i)}) for i in range(64)]
        found = await asyncio.gather(*map(answered, tickets))
        return len(calls), found
    calls, found = asyncio.run(run())
    # While one answer is told the loop may run already.
    assert calls < 32
    x = np.concatenate([rows(1, seed=i) for i in range(64)])
    np.testing.assert_allclose(np.concatenate([y for (y,) in found]), quern.compile(mlp())(x),
                               rtol=1e-5, atol=1e-5)
    service.stop(10)


def test_a_client_that_goes_away_takes_its_request_along(folder):
    service = serve(folder, settings=Settings(batch_sizes=[1, 64], max_delay_ms=20_000))

    async def gone():
        await asyncio.sleep(0.01)

    async def run():
        tickets = [service.submit("mlp", {"x": rows(1)}) for _ in range(3)]
        waiting = [asyncio.ensure_future(answered(ticket, gone)) for ticket in tickets[:2]]
        waiting.append(asyncio.ensure_future(answered(tickets[2])))
        await asyncio.sleep(0)
        waiting[2].cancel()
        found = await asyncio.gather(*waiting, return_exceptions=True)
        assert all(ticket.request.ended for ticket in tickets)
        return [type(error) for error in found]
    began = time.monotonic()
    assert asyncio.run(run()) == [quern.CancelledError] * 2 + [asyncio.CancelledError]
    assert time.monotonic() - began < 10
    service.stop(10)


def test_a_loop_that_is_gone_and_a_call_that_fails_hold_up_nobody(folder, caplog):
    service = serve(folder, settings=Settings(batch_sizes=[1, 64], max_delay_ms=300))
    loop = asyncio.new_event_loop()
    tickets = [service.submit("mlp", {"x": rows(1)}) for _ in range(3)]
    waiting = loop.create_task(answered(tickets[0]))
    loop.run_until_complete(asyncio.sleep(0))
    loop.close()

    def fails(request):
        raise ValueError("on purpose")
    tickets[1].request.when_ended(fails)
    assert len(tickets[2].future.result(30)[0]) == 1
    assert "on purpose" in caplog.text
    assert len(service.infer("mlp", {"x": rows(1)})["y"]) == 1
    waiting._log_destroy_pending = False
    service.stop(10)


def test_what_is_overdue_is_called_in_its_order_and_what_has_left_is_not():
    called = []

    async def run():
        overdue = Overdue(0.02)
        for i in range(4):
            overdue.enter(i, lambda i=i: called.append(i))
        overdue.leave(1)
        await asyncio.sleep(0.03)
        overdue.enter(4, lambda: called.append(4))
        overdue.leave(5)  # was never there
        for _ in range(100):
            if len(called) == 4:
                break
            await asyncio.sleep(0.01)
    asyncio.run(run())
    assert called == [0, 2, 3, 4]


def test_a_future_of_a_request_that_has_ended_and_one_that_was_cancelled(folder):
    service = serve(folder, settings=Settings(max_delay_ms=50))
    ticket = service.submit("mlp", {"x": rows(1)})
    other = service.submit("mlp", {"x": rows(1)})
    assert other.future.cancel()
    assert len(ticket.future.result(30)[0]) == 1
    assert ticket.future is ticket.future
    assert len(ticket.request.future().result(0)[0]) == 1
    ticket.cancel()  # changes nothing
    assert ticket.request.error is None
    service.stop(10)


def test_memory_stays_when_requests_are_refused(folder):
    """Clients that ask for more than fits get an answer, and nothing is left of it."""
    service = serve(folder, limits=Limits(bytes_in_flight=1000))
    for _ in range(100):
        with pytest.raises(OverloadedError):
            service.budget.take(1001)
    assert service.budget.used == 0
    with pytest.raises(quern.FileError, match="no folder of models"):
        serve(folder / "nothing")
    assert os.listdir(folder) == ["mlp"]
    service.stop(10)
