"""python -m quern.serving: KServe's model server over a folder of models."""
from __future__ import annotations

import argparse
import dataclasses
import logging
import sys
from typing import Optional, Sequence

from ..errors import QuernError
from .limits import Limits
from .metrics import shared_metrics
from .service import Service
from .settings import Settings


def _parser() -> argparse.ArgumentParser:
    limits, settings = Limits(), Settings()
    parser = argparse.ArgumentParser(
        prog="python -m quern.serving",
        description="Serves the models of a folder by the Open Inference Protocol, with KServe's "
                    "server. SIGTERM answers what has been asked, and ends it.")
    add = parser.add_argument
    add("--models", required=True, metavar="DIR",
        help="NAME/VERSION/model.onnx (.tflite, .so), and NAME/settings.json")
    add("--host", default="0.0.0.0")
    add("--http-port", type=int, default=8080)
    add("--grpc-port", type=int, default=8081)
    add("--batch-sizes", type=_sizes, default=settings.batch_sizes, metavar="N,N",
        help="rows that runs may have; an artefact has its own (default: 1,2,4,8,16,32)")
    add("--max-delay-ms", type=float, default=settings.max_delay_ms,
        help="what a request waits at most for others (default: %(default)s)")
    add("--instances", type=int, default=1, help="runs of a model at a time")
    add("--threads", type=int, default=0, help="of a run; 0: all")
    add("--queue", type=int, default=limits.queue,
        help="requests that may wait for a model (default: %(default)s)")
    add("--request-mb", type=float, default=limits.request_bytes / 2**20,
        help="of a body (default: %(default)g)")
    add("--json-mb", type=float, default=limits.json_bytes / 2**20,
        help="of JSON in it (default: %(default)g)")
    add("--memory-mb", type=float, default=limits.bytes_in_flight / 2**20,
        help="of all requests together (default: %(default)g)")
    add("--seconds", type=float, default=limits.seconds,
        help="of a request, from its arrival on (default: %(default)g)")
    add("--poll-seconds", type=float, default=2.0,
        help="between two looks at the folder (default: %(default)g; 0: one look)")
    add("--drain-seconds", type=float, default=30.0,
        help="for what has been asked when it is to end (default: %(default)g)")
    add("--control", action="store_true",
        help="obey requests to load and unload models (/v2/repository)")
    add("--access-log", action="store_true", help="a line for each request over HTTP")
    return parser


def _sizes(text: str) -> list[int]:
    return [int(size) for size in text.split(",")]


def main(arguments: Optional[Sequence[str]] = None) -> int:
    given = _parser().parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    logging.getLogger("quern").setLevel(logging.WARNING)
    log = logging.getLogger("quern.serving")
    log.setLevel(logging.INFO)
    # Threads that run models are not to wait long for the one that reads requests.
    sys.setswitchinterval(0.001)
    try:
        from .kserve import Address, import_kserve, serve

        import_kserve()  # before the models are compiled: it may be missing
        limits = dataclasses.replace(
            Limits(), request_bytes=int(given.request_mb * 2**20),
            json_bytes=int(given.json_mb * 2**20), bytes_in_flight=int(given.memory_mb * 2**20),
            queue=given.queue, seconds=given.seconds)
        settings = Settings(batch_sizes=given.batch_sizes, max_delay_ms=given.max_delay_ms,
                            instances=given.instances, threads=given.threads)
        service = Service(given.models, settings=settings, limits=limits,
                          metrics=shared_metrics(), poll_seconds=given.poll_seconds)
        names = service.repository.names()
        if not names:
            log.warning("no model of %s is ready yet", given.models)
        serve(service, Address(given.host, given.http_port, given.grpc_port),
              control=given.control, drain_seconds=given.drain_seconds,
              access_log=given.access_log,
              on_ready=lambda: log.info("%s: http://%s:%d, gRPC %s:%d", ", ".join(names) or "none",
                                        given.host, given.http_port, given.host, given.grpc_port))
        log.info("stopped")
        return 0
    except QuernError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.code


if __name__ == "__main__":
    sys.exit(main())
