"""Requests that wait for one model, and the threads that run them together.

A thread takes the oldest request and those behind it whose rows may share a run with it, as soon
as they fill the largest run, or the oldest has waited for as long as it may. The queue is bounded:
what does not fit is refused at once.
"""
from __future__ import annotations

import concurrent.futures
import logging
import threading
import time
from collections import Counter, deque
from typing import Any, Callable, Hashable, Optional, Sequence

from .. import _quern
from ..errors import CancelledError, QuernError, ResourceLimitError
from .errors import DeadlineError, OverloadedError, StoppingError

log = logging.getLogger("quern.serving")

# Of all requests: it is held for a few instructions, and one for each would be made each time.
_ending = threading.Lock()


class Request:
    """Inputs on their way through a batcher, and in the end `outputs` or an `error`. It refers to
    nothing that refers to it once it has ended: memory comes back without the garbage collector,
    which would stop all requests for as long as it looks."""

    def __init__(self, inputs: Sequence[Any], rows: int, key: Hashable,
                 deadline: Optional[float] = None) -> None:
        """`key`: requests with the same one may share a run, unless it is None. `deadline`: of
        time.monotonic()."""
        self.inputs, self.rows, self.key, self.deadline = inputs, rows, key, deadline
        self.ended = False
        self.outputs: list[Any] = []
        self.error: Optional[BaseException] = None
        self.arrived = time.monotonic()
        self.waited = 0.0
        self.span: Any = None
        self._calls: list[Callable[[Request], None]] = []
        self._batch: Optional[Batch] = None

    def finish(self, outputs: Optional[list[Any]], error: Optional[BaseException] = None) -> None:
        """Once: whoever comes later, as a client that has gone away, changes nothing."""
        with _ending:
            if self.ended:
                return
            self.outputs, self.error, self.ended = outputs or [], error, True
            calls, self._calls, self._batch = self._calls, [], None
        for call in calls:
            try:
                call(self)
            except Exception:  # the thread has others to answer
                log.exception("a request has ended, and who was to be told could not be")

    def when_ended(self, call: Callable[[Request], None]) -> None:
        """In the thread that ends it, or at once."""
        with _ending:
            if not self.ended:
                self._calls.append(call)
                return
        call(self)

    def result(self) -> list[Any]:
        """Of a request that has ended."""
        if self.error is not None:
            raise self.error
        return self.outputs

    def future(self) -> concurrent.futures.Future[list[Any]]:
        made: concurrent.futures.Future[list[Any]] = concurrent.futures.Future()

        def pass_on(request: Request) -> None:
            try:
                if request.error is None:
                    made.set_result(request.outputs)
                else:
                    made.set_exception(request.error)
            except concurrent.futures.InvalidStateError:  # it was cancelled
                pass
        self.when_ended(pass_on)
        return made


class Batch:
    """Requests that run together. The run is ended when nobody waits for it any more."""

    def __init__(self, requests: Sequence[Request]) -> None:
        self.requests = list(requests)
        self.cancellation = _quern.Cancellation()
        self.waiting = len(self.requests)

    @property
    def rows(self) -> int:
        return sum(request.rows for request in self.requests)

    def seconds_left(self) -> Optional[float]:
        """Until all of its requests are late; None when one may take any time."""
        deadlines = [request.deadline for request in self.requests]
        if any(deadline is None for deadline in deadlines):
            return None
        return max(max(deadline for deadline in deadlines if deadline is not None)
                   - time.monotonic(), 1e-3)


Run = Callable[[Batch], "list[list[Any]]"]


class Batcher:
    """The queue of one version of a model. `run` computes a batch: the outputs of each request."""

    def __init__(self, run: Run, *, most_rows: Callable[[Hashable], int], delay: float,
                 most_waiting: int, threads: int = 1,
                 on_batch: Callable[[Batch], None] = lambda batch: None) -> None:
        self._run, self._most_rows, self._delay = run, most_rows, delay
        self._most_waiting, self._on_batch = most_waiting, on_batch
        self._waiting: deque[Request] = deque()
        self._rows: Counter[Hashable] = Counter()
        self._changed = threading.Condition()
        self._open = True
        self._threads = [threading.Thread(target=self._work, name="quern.batcher", daemon=True)
                         for _ in range(threads)]
        for thread in self._threads:
            thread.start()

    def __len__(self) -> int:
        return len(self._waiting)

    def submit(self, request: Request) -> None:
        """OverloadedError when the queue is full, StoppingError after `close`."""
        with self._changed:
            if not self._open:
                raise StoppingError("the model is being unloaded")
            if len(self._waiting) >= self._most_waiting:
                raise OverloadedError(f"{len(self._waiting)} requests wait for the model, and no "
                                      "more are taken just now")
            self._waiting.append(request)
            self._rows[request.key] += request.rows
            if len(self._waiting) == 1 or self._rows[request.key] >= self._most_rows(request.key):
                self._changed.notify()

    def cancel(self, request: Request) -> None:
        """Takes it out of the queue, or out of the run, which ends when it was the last one."""
        with self._changed:
            batch = request._batch
            if request.ended:
                return
            if batch is not None:
                batch.waiting -= 1
                if batch.waiting <= 0:
                    batch.cancellation.cancel()
            else:
                try:
                    self._waiting.remove(request)
                    self._forget(request)
                except ValueError:
                    pass
            request.finish(None, CancelledError("the request was cancelled"))

    def close(self, seconds: Optional[float] = None) -> bool:
        """Takes no more requests and answers those that it has; after `seconds` it no longer waits
        for that, but ends what runs. Whether all of them were answered."""
        end = None if seconds is None else time.monotonic() + seconds
        with self._changed:
            self._open = False
            self._changed.notify_all()
        for thread in self._threads:
            thread.join(None if end is None else max(end - time.monotonic(), 0))
        if not any(thread.is_alive() for thread in self._threads):
            return True
        with self._changed:
            for request in self._waiting:
                request.finish(None, StoppingError("the server has stopped"))
            self._waiting.clear()
            self._rows.clear()
        return False

    def _forget(self, request: Request) -> None:
        self._rows[request.key] -= request.rows
        if self._rows[request.key] <= 0:
            del self._rows[request.key]

    def _take(self) -> Optional[Batch]:
        """The next batch; None when there will be none."""
        with self._changed:
            while True:
                self._refuse_late()
                if not self._waiting:
                    if not self._open:
                        return None
                    self._changed.wait()
                    continue
                first = self._waiting[0]
                left = first.arrived + self._delay - time.monotonic()
                if (first.key is None or left <= 0 or not self._open or
                        self._rows[first.key] >= self._most_rows(first.key)):
                    return self._gather(first)
                self._changed.wait(left)

    def _refuse_late(self) -> None:
        now = time.monotonic()
        late = [request for request in self._waiting
                if request.deadline is not None and request.deadline < now]
        for request in late:
            self._waiting.remove(request)
            self._forget(request)
            request.finish(None, DeadlineError("the request was not answered in time"))

    def _gather(self, first: Request) -> Batch:
        taken, rows = [first], first.rows
        if first.key is not None:
            most = self._most_rows(first.key)
            for request in self._waiting:
                if (request is not first and request.key == first.key and
                        rows + request.rows <= most):
                    taken.append(request)
                    rows += request.rows
        if len(taken) == len(self._waiting):
            self._waiting.clear()
        else:
            chosen = set(map(id, taken))
            self._waiting = deque(request for request in self._waiting if id(request) not in chosen)
        batch = Batch(taken)
        now = time.monotonic()
        for request in taken:
            self._forget(request)
            request._batch = batch
            request.waited = now - request.arrived
        if self._waiting:
            # Another thread may begin with what is left.
            self._changed.notify()
        return batch

    def _work(self) -> None:
        while True:
            batch = self._take()
            if batch is None:
                return
            self._on_batch(batch)
            self._answer(batch)
            # Nothing of it is to live until the next batch comes.
            del batch

    def _answer(self, batch: Batch) -> None:
        try:
            results = self._run(batch)
        except BaseException as error:
            self._answer_failure(batch, error)
            return
        for request, outputs in zip(batch.requests, results):
            request.finish(outputs)

    def _answer_failure(self, batch: Batch, error: BaseException) -> None:
        """Of several requests that failed together each runs alone: one may be at fault."""
        if isinstance(error, ResourceLimitError) and batch.seconds_left() == 1e-3:
            error = DeadlineError("the request was not answered in time")
        alone = (isinstance(error, QuernError) and len(batch.requests) > 1 and
                 not isinstance(error, (CancelledError, DeadlineError)))
        for request in batch.requests:
            if not alone:
                request.finish(None, error)
                continue
            with self._changed:
                if request.ended:
                    continue
                batch = request._batch = Batch([request])
            self._answer(batch)
