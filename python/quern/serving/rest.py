"""The Open Inference Protocol over HTTP, as a piece of ASGI before the routes of a server.

It answers inference, model metadata and readiness itself, and bounds the bodies of all the rest.
"""
from __future__ import annotations

import asyncio
import json
import re
from typing import Any, Awaitable, Callable, Mapping

from ..errors import CancelledError, InvalidInputError
from .errors import DeadlineError, UnknownModelError, answer_for, message_of
from .limits import JSON_GROWTH
from .protocol import decode_request, encode_response, metadata_of
from .service import Service
from .waiting import answered

Scope = Mapping[str, Any]
Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]

_PATH = re.compile(r"/v2/models/([^/]+)(?:/versions/([^/]+))?(?:/(infer|ready))?")
_DISCARD_SECONDS = 2.0
_HEADER_LENGTH = "inference-header-content-length"


class Endpoints:
    """ASGI; what it does not answer goes on to `app`."""

    def __init__(self, app: Any, service: Service) -> None:
        self._app, self._service = app, service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        path, method = scope["path"], scope["method"]
        if path == "/v2/health/ready" and method == "GET":
            ready = self._service.ready
            await _send_json(send, 200 if ready else 503, {"ready": ready})
            return
        found = _PATH.fullmatch(path)
        if found and (method, found[3]) == ("POST", "infer"):
            await self._infer(found[1], found[2] or "", scope, receive, send)
        elif found and method == "GET" and found[3] != "infer":
            await self._describe(found[1], found[2] or "", found[3] == "ready", send)
        else:
            await self._app(scope, self._bounded(receive), send)

    def _bounded(self, receive: Receive) -> Receive:
        """What the routes read is small: they get no more than JSON may have."""
        left = self._service.limits.json_bytes

        async def bounded() -> Any:
            nonlocal left
            message = await receive()
            left -= len(message.get("body", b""))
            return message if left >= 0 else {"type": "http.disconnect"}
        return bounded

    async def _describe(self, name: str, version: str, only_ready: bool, send: Send) -> None:
        try:
            served = self._service.repository.get(name, version)
        except UnknownModelError as error:
            await _send_error(send, error)
            return
        if only_ready:
            await _send_json(send, 200 if self._service.ready else 503,
                             {"name": name, "ready": self._service.ready})
        else:
            await _send_json(send, 200, metadata_of(name, self._service.repository.versions(name),
                                                    served.compiled))

    async def _infer(self, name: str, version: str, scope: Scope, receive: Receive, send: Send
                     ) -> None:
        body = _Body(self._service, {key.decode("latin-1").lower(): value.decode("latin-1")
                                     for key, value in scope["headers"]})
        reached = False  # the service, which counts what it refuses
        try:
            try:
                content = await _within(self._service.limits.seconds, body.read(receive))
                request = decode_request(content, body.headers.get(_HEADER_LENGTH),
                                         self._service.limits)
                reached = True
                ticket = self._service.submit(name, request.inputs, version=version,
                                              outputs=request.outputs, seconds=request.seconds,
                                              headers=body.headers)
                results = await answered(ticket, lambda: _gone(receive))
                head, binary = encode_response(name, ticket.served.version, request,
                                               ticket.chosen(results))
            except Exception as error:
                if not reached:
                    self._service.count_refusal(name, error)
                await body.discard(receive)
                await _send_error(send, error, close=not body.complete)
                return
            await _send_parts(send, head, binary)
        finally:
            body.release()


async def not_found(scope: Scope, receive: Receive, send: Send) -> None:
    """What goes on when there are no other routes."""
    if scope["type"] == "lifespan":
        while True:
            kind = (await receive())["type"]
            await send({"type": f"{kind}.complete"})
            if kind == "lifespan.shutdown":
                return
    await _send_json(send, 404, {"error": f"there is nothing at {scope['path']:.200}"})


class _Body:
    """Of one request; what it holds is taken from the budget before it is read."""

    def __init__(self, service: Service, headers: Mapping[str, str]) -> None:
        self._service, self.headers = service, headers
        self._held = 0
        self.complete = False
        # Bytes in JSON become more; those behind it stay what they are.
        self._growth = 1 if _HEADER_LENGTH in headers else JSON_GROWTH

    def _hold(self, size: int) -> None:
        self._service.budget.take(size)
        self._held += size

    async def read(self, receive: Receive) -> bytearray:
        limits, is_json = self._service.limits, self._growth != 1
        if self.headers.get("content-encoding", "identity") != "identity":
            raise InvalidInputError("bodies with a Content-Encoding are not taken")
        declared = self.headers.get("content-length", "")
        if declared:
            if not (declared.isascii() and declared.isdigit()):
                raise InvalidInputError("Content-Length is no number")
            limits.check_body(int(declared), is_json)
            self._hold(int(declared) * self._growth)
        content = bytearray()
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise CancelledError("the client has gone away")
            chunk = message.get("body", b"")
            limits.check_body(len(content) + len(chunk), is_json)
            if not declared:
                self._hold(len(chunk) * self._growth)
            content += chunk
            if not message.get("more_body"):
                self.complete = True
                return content

    async def discard(self, receive: Receive) -> None:
        """What a client still sends, for a while and up to the size of a request: one that is cut
        off while it writes does not read the answer."""
        left = self._service.limits.request_bytes

        async def read() -> None:
            nonlocal left
            while left > 0 and not self.complete:
                message = await receive()
                left -= len(message.get("body", b""))
                self.complete = not message.get("more_body")
        declared = self.headers.get("content-length", "0")
        if not self.complete and declared.isdigit() and int(declared) <= 2 * left:
            try:
                await asyncio.wait_for(read(), _DISCARD_SECONDS)
            except asyncio.TimeoutError:
                pass

    def release(self) -> None:
        self._service.budget.give(self._held)
        self._held = 0


async def _within(seconds: float, work: Awaitable[Any]) -> Any:
    """As asyncio.wait_for, without a task of its own."""
    task, late = asyncio.current_task(), False
    assert task is not None

    def cancel() -> None:
        nonlocal late
        late = True
        task.cancel()
    timer = asyncio.get_running_loop().call_later(seconds, cancel)
    try:
        return await work
    except asyncio.CancelledError:
        if not late:
            raise
        getattr(task, "uncancel", lambda: None)()
        raise DeadlineError("the request did not arrive in time") from None
    finally:
        timer.cancel()


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _send_parts(send: Send, head: bytes, binary: Any) -> None:
    content = b"".join((head, *binary)) if binary else head
    headers = [(b"content-length", str(len(content)).encode()),
               (b"content-type", b"application/octet-stream" if binary else b"application/json")]
    if binary:
        headers.append((_HEADER_LENGTH.encode(), str(len(head)).encode()))
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": content})


async def _send_error(send: Send, error: BaseException, close: bool = False) -> None:
    await _send_json(send, answer_for(error)[0], {"error": message_of(error)}, close)


async def _send_json(send: Send, status: int, message: Mapping[str, Any], close: bool = False
                     ) -> None:
    """`close`: of a body that was not read, nothing more is."""
    text = json.dumps(message).encode()
    headers = [(b"content-length", str(len(text)).encode()), (b"content-type", b"application/json")]
    if close:
        headers.append((b"connection", b"close"))
    if status in (429, 503):
        headers.append((b"retry-after", b"1"))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": text})
