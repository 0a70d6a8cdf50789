"""What an event loop does for requests under way in other threads: it is woken once for all that
are answered together, and looks at those that take long, not at each.
"""
from __future__ import annotations

import asyncio
import threading
import weakref
from typing import TYPE_CHECKING, Any, Callable, Optional

from ..errors import CancelledError

if TYPE_CHECKING:
    from .service import Ticket

# A request that has not been answered by then is worth a task that sees its client go away.
_GONE_SECONDS = 0.05

_loops: weakref.WeakKeyDictionary[Any, _Loop] = weakref.WeakKeyDictionary()


class Overdue:
    """Calls what has stayed for a number of seconds or somewhat longer. One timer of the loop
    serves all: entering and leaving costs less than a timer of one's own."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        # In the order in which they are due.
        self._entered: dict[Any, tuple[float, Callable[[], None]]] = {}
        self._timer: Any = None

    def enter(self, key: Any, call: Callable[[], None]) -> None:
        loop = asyncio.get_running_loop()
        self._entered[key] = loop.time() + self._seconds, call
        if self._timer is None:
            self._timer = loop.call_later(self._seconds, self._look)

    def leave(self, key: Any) -> None:
        self._entered.pop(key, None)

    def _look(self) -> None:
        loop = asyncio.get_running_loop()
        now, self._timer = loop.time(), None
        due = []
        for key, (moment, _) in self._entered.items():
            if moment > now:
                self._timer = loop.call_later(moment - now, self._look)
                break
            due.append(key)
        for key in due:
            _, call = self._entered.pop(key)
            call()


class _Loop:
    """One event loop's."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.long = Overdue(_GONE_SECONDS)
        # Not held: it is the key that this is found by.
        self._loop_of = weakref.ref(loop)
        self._lock = threading.Lock()
        self._over: list[Any] = []

    def tell(self, waiter: Any) -> None:
        """From any thread: wakes whoever awaits the future. The loop is called once for all that
        are told before it gets round to it."""
        with self._lock:
            self._over.append(waiter)
            if len(self._over) > 1:
                return
        loop = self._loop_of()
        if loop is None:
            return
        try:
            loop.call_soon_threadsafe(self._wake)
        except RuntimeError:  # it was closed: nobody waits any more
            pass

    def _wake(self) -> None:
        with self._lock:
            over, self._over = self._over, []
        for waiter in over:
            wake(waiter)


def wake(waiter: Any) -> None:
    if not waiter.done():
        waiter.set_result(None)


async def answered(ticket: Ticket, gone: Optional[Callable[[], Any]] = None) -> Any:
    """The results. When whoever awaits them is cancelled, the request is, too; so it is, with
    CancelledError, when the coroutine that `gone` gives ends before: the client is not there."""
    loop = asyncio.get_running_loop()
    ours = _loops.get(loop)
    if ours is None:
        ours = _loops[loop] = _Loop(loop)
    waiter = loop.create_future()
    watcher: Any = None

    def watch() -> None:
        nonlocal watcher
        assert gone is not None
        watcher = loop.create_task(gone())
        watcher.add_done_callback(lambda _: wake(waiter))
    if gone is not None:
        ours.long.enter(waiter, watch)
    ticket.request.when_ended(lambda _: ours.tell(waiter))
    try:
        await waiter
        if not ticket.request.ended:
            raise CancelledError("the client has gone away")
        return ticket.request.result()
    except (asyncio.CancelledError, CancelledError):
        ticket.cancel()
        raise
    finally:
        ours.long.leave(waiter)
        if watcher is not None:
            watcher.cancel()
