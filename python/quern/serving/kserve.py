"""KServe's model server: the Open Inference Protocol over REST and gRPC, health, metrics.

KServe (the package `kserve`) has the sockets, the routes and the gRPC service. Inference over REST is
answered before its own route, which would read a body of any size and make lists of its numbers.
"""
from __future__ import annotations

import asyncio
import dataclasses
import logging
import signal
import sys
from typing import Any, Callable, Mapping

from ..errors import FileError, InvalidInputError, UnsupportedError
from .errors import answer_for, message_of
from .protocol import (InferenceRequest, bytes_of, datatype_of, from_bytes, from_numbers,
                       metadata_of, seconds_of)
from .rest import Endpoints
from .service import Service, Ticket, answered

log = logging.getLogger("quern.serving")


@dataclasses.dataclass(frozen=True)
class Address:
    host: str = "0.0.0.0"
    http_port: int = 8080
    grpc_port: int = 8081


def import_kserve() -> Any:
    """Without the arguments of this program, which kserve would read as its own."""
    arguments, sys.argv = sys.argv, sys.argv[:1]
    try:
        import kserve
        import kserve.model_server
        return kserve
    except ImportError as error:
        raise UnsupportedError(f"the server needs KServe: pip install kserve ({error})") from error
    finally:
        sys.argv = arguments


def _registry(kserve: Any, service: Service, control: bool) -> Any:
    """The models as KServe asks for them."""
    class Model(kserve.model.InferenceModel):  # type: ignore[misc,name-defined]
        def __init__(self, name: str) -> None:
            super().__init__(name)
            self.ready = True

        def get_input_types(self) -> list[dict[str, Any]]:
            return self._metadata()["inputs"]

        def get_output_types(self) -> list[dict[str, Any]]:
            return self._metadata()["outputs"]

        def _metadata(self) -> Any:
            return metadata_of(self.name, [], service.repository.get(self.name).compiled)

        async def __call__(self, body: Any, headers: Any = None, verb: Any = None) -> Any:
            if not isinstance(body, kserve.InferRequest):
                raise kserve.errors.InvalidInput("wanted a request of the Open Inference Protocol: "
                                                 f"POST /v2/models/{self.name}/infer")
            return await _infer_grpc(service, self.name, body, headers or {}), {}

    class Registry(kserve.ModelRepository):  # type: ignore[misc,name-defined]
        def get_model(self, name: str) -> Any:
            return Model(name) if service.repository.versions(name) else None

        def get_models(self) -> dict[str, Any]:
            return {name: Model(name) for name in service.repository.names()}

        async def is_model_ready(self, name: str) -> bool:
            return service.ready and bool(service.repository.versions(name))

        async def load(self, name: str) -> None:
            _check_control()
            await asyncio.get_running_loop().run_in_executor(None, service.repository.load, name)

        def unload(self, name: str) -> None:
            _check_control()
            service.repository.unload(name)

    def _check_control() -> None:
        if not control:
            raise kserve.errors.InvalidInput("the server is not to be told what it loads: "
                                             "it was started without --control")
    return Registry()


async def _infer_grpc(service: Service, name: str, body: Any, headers: Mapping[str, str]) -> Any:
    """Of a request that KServe has read."""
    from grpc import StatusCode
    from grpc_interceptor.exceptions import GrpcException
    size = sum(len(tensor._raw_data) if tensor._raw_data is not None else 0 for tensor in body.inputs)
    held = 0
    try:
        service.budget.take(size)
        held = size
        request = InferenceRequest(
            {tensor.name: _grpc_array(tensor, service.limits) for tensor in body.inputs},
            [output.name for output in body.request_outputs or ()] or None, True, body.id or "",
            seconds_of({key: value.int64_param for key, value in (body.parameters or {}).items()
                        if key == "timeout"}))
        if len(request.inputs) != len(body.inputs):
            raise InvalidInputError("an input is given twice")
        ticket = service.submit(name, request.inputs, version=body.model_version or "",
                                outputs=request.outputs, seconds=request.seconds, headers=headers)
        results = await answered(ticket)
        return _grpc_response(name, ticket, request, results)
    except asyncio.CancelledError:
        raise
    except Exception as error:
        _, code, _ = answer_for(error)
        raise GrpcException(status_code=getattr(StatusCode, code), details=message_of(error)
                            ) from None
    finally:
        service.budget.give(held)


def _grpc_array(tensor: Any, limits: Any) -> Any:
    if tensor._raw_data is not None:
        return from_bytes(tensor.name, tensor.datatype, tensor.shape, tensor._raw_data, limits)
    return from_numbers(tensor.name, tensor.datatype, tensor.shape, list(tensor.data or ()), limits)


def _grpc_response(name: str, ticket: Ticket, request: InferenceRequest, results: Any) -> Any:
    from kserve.protocol.grpc import grpc_predict_v2_pb2 as messages
    response = messages.ModelInferResponse(model_name=name, id=request.id,
                                           model_version=str(ticket.served.version))
    for port, array in ticket.chosen(results):
        response.outputs.add(name=port.name, datatype=datatype_of(port), shape=list(array.shape))
        response.raw_output_contents.append(bytes(bytes_of(array)))
    return response


def serve(service: Service, address: Address = Address(), *, control: bool = False,
          drain_seconds: float = 30.0, access_log: bool = False,
          on_ready: Callable[[], None] = lambda: None) -> None:
    """Until SIGTERM or SIGINT comes; then what has been asked is answered."""
    kserve = import_kserve()
    from kserve.protocol.grpc.server import GRPCServer
    from kserve.protocol.rest.server import RESTServer

    class Rest(RESTServer):  # type: ignore[misc]
        def _add_middlewares(self, app: Any) -> None:
            """Ours alone: it comes before the routes."""
            app.add_middleware(Endpoints, service=service)

    class Grpc(GRPCServer):  # type: ignore[misc]
        """KServe's, with bounds."""

        async def start(self, max_workers: int = 1) -> None:
            from grpc import aio
            from kserve.protocol.grpc import grpc_predict_v2_pb2_grpc as calls
            from kserve.protocol.grpc.interceptors import ExceptionToStatusInterceptor
            from kserve.protocol.grpc.servicer import InferenceServicer
            self._server = aio.server(
                interceptors=(ExceptionToStatusInterceptor(),),
                maximum_concurrent_rpcs=service.limits.queue + 64,
                options=[("grpc.max_send_message_length", -1),
                         ("grpc.max_receive_message_length", service.limits.request_bytes)])
            calls.add_GRPCInferenceServiceServicer_to_server(
                InferenceServicer(self._data_plane, self._model_repository_extension), self._server)
            try:
                self._server.add_insecure_port(f"{address.host}:{address.grpc_port}")
            except RuntimeError:
                raise FileError(f"cannot listen on {address.host}:{address.grpc_port}, for gRPC"
                                ) from None
            await self._server.start()
            await self._server.wait_for_termination()

    server = kserve.ModelServer(registered_models=_registry(kserve, service, control),
                                enable_grpc=False)
    # Each request of a stranger's that is wrong would be an error, with a stack.
    for name in ("kserve", "kserve.trace"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    logging.getLogger("uvicorn.error").setLevel(logging.WARNING)
    logging.getLogger("uvicorn.access").setLevel(logging.INFO if access_log else logging.WARNING)
    common = (server.dataplane, server.model_repository_extension)
    grpc = Grpc(address.grpc_port, *common, kwargs={}, grace_period=drain_seconds)
    rest = Rest("kserve.model_server:app", *common, address.http_port,
                grace_period=int(drain_seconds))
    rest.config.host = address.host
    _run_loop(service, rest, grpc, drain_seconds, on_ready)


def _run_loop(service: Service, rest: Any, grpc: Any, drain_seconds: float,
              on_ready: Callable[[], None]) -> None:
    async def run() -> None:
        loop = asyncio.get_running_loop()
        uvicorn_stops = rest._server.handle_exit
        stopping: list[Any] = []

        def stop(number: int, frame: Any) -> None:
            """Both servers at once: uvicorn's handler is the one that is called."""
            log.info("stopping: %d seconds for what has been asked", drain_seconds)
            service.drain()
            uvicorn_stops(number, frame)
            loop.call_soon_threadsafe(
                lambda: stopping.append(loop.create_task(grpc._server.stop(drain_seconds))))
        rest._server.handle_exit = stop
        calls = loop.create_task(grpc.start())
        pages = loop.create_task(rest.start())
        while not (rest._server.started or pages.done()):
            await asyncio.sleep(0.01)
        if calls.done():  # it could not listen
            rest._server.should_exit = True
        elif not pages.done():
            on_ready()
        try:
            await pages
        finally:
            await grpc._server.stop(drain_seconds)
            await asyncio.gather(calls, *stopping)

    # uvicorn raises its signals again when it is done.
    before = {number: signal.signal(number, lambda *_: None)
              for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        try:
            import uvloop
        except ImportError:
            asyncio.run(run())
        else:
            uvloop.run(run())
        if not service.stop(drain_seconds):
            log.warning("requests were left unanswered after %d seconds", drain_seconds)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
