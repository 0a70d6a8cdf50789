"""Serves models on servers that people have: KServe's, Ray Serve, Triton.

    python -m quern.serving --models models          # KServe: REST and gRPC, health, metrics

`models` has a folder for each model, with a folder for each version: models/resnet/1/model.onnx
(or model.tflite, or model.so, an artefact of quern.aot). docs/serving.md says how it is run,
batched, bounded, watched and replaced.
"""
from __future__ import annotations

from .errors import (DeadlineError, OverloadedError, StoppingError, TooLargeError,
                     UnknownModelError)
from .limits import Limits
from .service import Service
from .settings import Settings

__all__ = ["DeadlineError", "Limits", "OverloadedError", "Service", "Settings", "StoppingError",
           "TooLargeError", "UnknownModelError"]
