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
from .service import Service, Ticket, keep_what_is_there
from .waiting import answered

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
    class Model(kserve.model.InferenceModel):  # type: ignore[misc]
        def __init__(self, name: str) -> None:
            super().__init__(name)
            self.ready = True

        def get_input_types(self) -> Any:
            return self._metadata()["inputs"]

        def get_output_types(self) -> Any:
            return self._metadata()["outputs"]

        def _metadata(self) -> Any:
            return metadata_of(self.name, [], service.repository.get(self.name).compiled)

        async def __call__(self, body: Any, headers: Any = None, verb: Any = None) -> Any:
            """What is asked by other ways than inference, which does not come here."""
            raise kserve.errors.InvalidInput("wanted a request of the Open Inference Protocol: "
                                             f"POST /v2/models/{self.name}/infer")

    class Registry(kserve.ModelRepository):  # type: ignore[misc]
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


def _servicer(service: Service, data_plane: Any, extension: Any) -> Any:
    """KServe's, which makes objects of its own of a request; inference comes from the message."""
    from kserve.protocol.grpc.servicer import InferenceServicer

    class Servicer(InferenceServicer):  # type: ignore[misc]
        async def ModelInfer(self, request: Any, context: Any) -> Any:
            return await _infer_grpc(service, request, context.invocation_metadata())
    return Servicer(data_plane, extension)


async def _infer_grpc(service: Service, message: Any, metadata: Any) -> Any:
    from grpc import StatusCode
    from grpc_interceptor.exceptions import GrpcException
    name = message.model_name
    size = sum(map(len, message.raw_input_contents))
    held, reached = 0, False  # `reached`: the service, which counts what it refuses
    try:
        service.budget.take(size)
        held = size
        request = _grpc_request(message, service.limits)
        reached = True
        ticket = service.submit(name, request.inputs, version=message.model_version,
                                outputs=request.outputs, seconds=request.seconds,
                                headers=dict(metadata or ()))
        results = await answered(ticket)
        return _grpc_response(name, ticket, request, results)
    except asyncio.CancelledError:
        raise
    except Exception as error:
        if not reached:
            service.count_refusal(name, error)
        _, code, _ = answer_for(error)
        raise GrpcException(status_code=getattr(StatusCode, code), details=message_of(error)
                            ) from None
    finally:
        service.budget.give(held)


# Where a message has the numbers of a tensor that come without bytes.
_CONTENTS = {"BOOL": "bool_contents", "INT8": "int_contents", "INT16": "int_contents",
             "INT32": "int_contents", "INT64": "int64_contents", "UINT8": "uint_contents",
             "UINT16": "uint_contents", "UINT32": "uint_contents", "UINT64": "uint64_contents",
             "FP32": "fp32_contents", "FP64": "fp64_contents", "BYTES": "bytes_contents"}


def _grpc_request(message: Any, limits: Any) -> InferenceRequest:
    raw = message.raw_input_contents
    if raw and len(raw) != len(message.inputs):
        raise InvalidInputError(f"the request has {len(message.inputs)} inputs and "
                                f"{len(raw)} raw_input_contents")
    inputs = {}
    for i, tensor in enumerate(message.inputs):
        name, shape = tensor.name, list(tensor.shape)
        if name in inputs:
            raise InvalidInputError(f"input '{name:.128}' is given twice")
        if raw and tensor.HasField("contents"):
            raise InvalidInputError(f"input '{name:.128}' has contents and raw_input_contents")
        inputs[name] = from_bytes(name, tensor.datatype, shape, raw[i], limits) if raw else (
            from_numbers(name, tensor.datatype, shape, _numbers(tensor), limits))
    timeout = message.parameters["timeout"].int64_param if "timeout" in message.parameters else None
    return InferenceRequest(inputs, [output.name for output in message.outputs] or None, True,
                            message.id, seconds_of({"timeout": timeout}))


def _numbers(tensor: Any) -> list[Any]:
    field = _CONTENTS.get(tensor.datatype)
    if field is None:
        raise InvalidInputError(f"input '{tensor.name:.128}': {tensor.datatype:.40} comes in "
                                "raw_input_contents only")
    return list(getattr(tensor.contents, field))


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
            """None, and ours before all that FastAPI does for each request."""
            self.config.app = Endpoints(app, service)

    class Grpc(GRPCServer):  # type: ignore[misc]
        """KServe's, with bounds."""

        async def start(self, max_workers: int = 1) -> None:
            from grpc import aio
            from kserve.protocol.grpc import grpc_predict_v2_pb2_grpc as calls
            from kserve.protocol.grpc.interceptors import ExceptionToStatusInterceptor
            self._server = aio.server(
                interceptors=(ExceptionToStatusInterceptor(),),
                maximum_concurrent_rpcs=service.limits.queue + 64,
                options=[("grpc.max_send_message_length", -1),
                         ("grpc.max_receive_message_length", service.limits.request_bytes)])
            calls.add_GRPCInferenceServiceServicer_to_server(
                _servicer(service, self._data_plane, self._model_repository_extension),
                self._server)
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
    access = logging.getLogger("uvicorn.access")
    access.setLevel(logging.INFO)
    if not access_log:  # without handlers uvicorn does not make the lines
        access.handlers.clear()
        access.propagate = False
    common = (server.dataplane, server.model_repository_extension)
    grpc = Grpc(address.grpc_port, *common, kwargs={}, grace_period=drain_seconds)
    rest = Rest("kserve.model_server:app", *common, address.http_port,
                grace_period=int(drain_seconds))
    rest.config.host = address.host
    rest.config.proxy_headers = access_log  # whose lines alone say where a request came from
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
            keep_what_is_there()
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
