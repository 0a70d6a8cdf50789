"""Models of a folder, and what becomes of a request: the core that all servers have in common."""
from __future__ import annotations

import concurrent.futures
import functools
import gc
import logging
import os
import time
from typing import Any, Mapping, Optional, Sequence, Union

from .batching import Request
from .errors import StoppingError, answer_for
from .limits import Budget, Limits
from .metrics import Metrics
from .repository import Repository
from .served import ServedVersion
from .settings import Settings
from .tracing import begin_request, end_request

log = logging.getLogger("quern.serving")


def keep_what_is_there() -> None:
    """For a process that serves, and has imported and loaded what it needs: to look through that for
    garbage would stop all requests for a tenth of a second, some times each second."""
    gc.collect()
    gc.freeze()


class Ticket:
    """A request under way: `future` has the outputs that were asked for, `cancel` ends it."""

    def __init__(self, served: ServedVersion, request: Request, outputs: Sequence[int]) -> None:
        self.served, self.request, self._outputs = served, request, outputs

    @functools.cached_property
    def future(self) -> concurrent.futures.Future[list[Any]]:
        return self.request.future()

    def cancel(self) -> None:
        self.served.cancel(self.request)

    def chosen(self, results: Sequence[Any]) -> list[tuple[Any, Any]]:
        """(port, array) of the outputs that were asked for."""
        ports = self.served.compiled.outputs
        return [(ports[i], results[i]) for i in self._outputs]


class Service:
    """Thread-safe. `submit` neither waits nor computes."""

    def __init__(self, models: Union[str, os.PathLike[str]], *, settings: Settings = Settings(),
                 limits: Limits = Limits(), metrics: Optional[Metrics] = None,
                 poll_seconds: float = 2.0) -> None:
        self.limits = limits
        self.metrics = metrics if metrics is not None else Metrics()
        self.budget = Budget(limits.bytes_in_flight)
        self.metrics.bytes_in_flight().set_function(lambda: self.budget.used)
        self.repository = Repository(models, settings=settings, limits=limits,
                                     metrics=self.metrics, poll_seconds=poll_seconds)
        self._draining = self._stopping = False

    @property
    def ready(self) -> bool:
        """Whether it is to be asked."""
        return not self._draining

    def drain(self) -> None:
        """Says that it is not ready, and still answers what comes."""
        self._draining = True

    def submit(self, name: str, inputs: Mapping[str, Any], *, version: str = "",
               outputs: Optional[Sequence[str]] = None, seconds: Optional[float] = None,
               headers: Optional[Mapping[str, str]] = None) -> Ticket:
        """Of arrays by name. What is wrong with the request, or does not fit into the queue, is
        raised; what goes wrong later is in the future."""
        began = time.perf_counter()
        try:
            return self._submit(name, inputs, version, outputs, seconds, headers, began)
        except Exception as error:
            self.count_refusal(name, error)
            raise

    def count_refusal(self, name: str, error: BaseException) -> None:
        """Under the model's name if it is one: strangers do not add series."""
        known = name if name in self.repository.names() else ""
        self.metrics.requests(known, answer_for(error)[2]).inc()

    def _submit(self, name: str, inputs: Mapping[str, Any], version: str,
                outputs: Optional[Sequence[str]], seconds: Optional[float],
                headers: Optional[Mapping[str, str]], began: float) -> Ticket:
        while True:
            if self._stopping:
                raise StoppingError("the server is stopping")
            served = self.repository.get(name, version)
            wanted = served.output_indices(outputs)
            request = served.request(inputs, seconds)
            request.span = begin_request(name, str(served.version), headers)
            request.when_ended(lambda request: self._note_end(name, request, began))
            try:
                served.submit(request)
            except StoppingError as error:
                # Another one has taken its place since it was found.
                end_request(request.span, error)
                continue
            except Exception as error:
                end_request(request.span, error)
                raise
            return Ticket(served, request, wanted)

    def _note_end(self, name: str, request: Request, began: float) -> None:
        error = request.error
        if error is not None and answer_for(error)[0] == 500:
            log.error("a request of %s failed", name, exc_info=error)
        self.metrics.requests(name, "ok" if error is None else answer_for(error)[2]).inc()
        self.metrics.request_seconds(name).observe(time.perf_counter() - began)
        end_request(request.span, error)

    def infer(self, name: str, inputs: Mapping[str, Any], *, version: str = "",
              outputs: Optional[Sequence[str]] = None, seconds: Optional[float] = None
              ) -> dict[str, Any]:
        """Waits: arrays by the names of outputs."""
        ticket = self.submit(name, inputs, version=version, outputs=outputs, seconds=seconds)
        try:
            results = ticket.future.result()
        except BaseException:
            ticket.cancel()
            raise
        return {port.name: array for port, array in ticket.chosen(results)}

    def stop(self, seconds: Optional[float] = None) -> bool:
        """Takes no more requests and answers those that it has; whether all were answered."""
        self._draining = self._stopping = True
        return self.repository.close(seconds)
