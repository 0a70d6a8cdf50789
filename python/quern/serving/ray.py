"""A deployment for Ray Serve: replicas, each with models, queues and batches of its own.

    from ray import serve
    from quern.serving.ray import deployment
    serve.run(deployment("models", num_replicas=2), route_prefix="/")

It answers the Open Inference Protocol over Serve's HTTP, and a handle's calls with arrays:
`handle.infer.remote("mlp", {"x": array})`. Ray puts a new replica in the place of one that dies.
"""
from __future__ import annotations

import os
from typing import Any, Mapping, Optional, Sequence, Union

from ..errors import UnsupportedError
from .limits import Limits
from .metrics import shared_metrics
from .rest import Endpoints, not_found
from .service import Service, keep_what_is_there
from .settings import Settings
from .waiting import answered

# A replica is a process of its own, and has one.
_service: Optional[Service] = None


def _application() -> Endpoints:
    assert _service is not None
    return Endpoints(not_found, _service)


class Replica:
    """What one process of the deployment does."""

    def __init__(self, models: str, settings: Settings, limits: Limits, poll_seconds: float) -> None:
        global _service
        _service = self._service = Service(models, settings=settings, limits=limits,
                                           metrics=shared_metrics(), poll_seconds=poll_seconds)
        keep_what_is_there()

    async def infer(self, name: str, inputs: Mapping[str, Any], version: str = "",
                    outputs: Optional[Sequence[str]] = None, seconds: Optional[float] = None
                    ) -> dict[str, Any]:
        """Of a handle: arrays by the names of outputs."""
        ticket = self._service.submit(name, inputs, version=version, outputs=outputs,
                                      seconds=seconds)
        return {port.name: array for port, array in ticket.chosen(await answered(ticket))}

    def models(self) -> dict[str, list[int]]:
        """The versions of each model that is ready."""
        return {name: self._service.repository.versions(name)
                for name in self._service.repository.names()}

    def process(self) -> int:
        return os.getpid()

    def __del__(self) -> None:
        """Ray has waited for what the replica was asked."""
        if hasattr(self, "_service"):
            self._service.stop(1.0)


def deployment(models: Union[str, os.PathLike[str]], *, num_replicas: int = 1,
               settings: Settings = Settings(threads=1), limits: Limits = Limits(),
               poll_seconds: float = 2.0, **options: Any) -> Any:
    """A ray.serve application over a folder of models that every node sees. Each replica reserves
    the CPUs that its runs use, `settings.threads` times `settings.instances`; `options` are those of
    ray.serve.deployment."""
    try:
        from ray import serve
    except ImportError as error:
        raise UnsupportedError(f"this needs Ray Serve: pip install 'ray[serve]' ({error})"
                               ) from error
    options.setdefault("ray_actor_options",
                       {"num_cpus": max(settings.threads, 1) * settings.instances})
    # A replica refuses by itself what its queue has no room for.
    options.setdefault("max_ongoing_requests", limits.queue + 2 * max(settings.batch_sizes))
    made = serve.deployment(name="quern", num_replicas=num_replicas, **options)
    return made(serve.ingress(_application)(Replica)).bind(os.path.abspath(os.fspath(models)), settings, limits, poll_seconds)
