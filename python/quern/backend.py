"""ONNX's backend interface (onnx.backend.base) on Quern, for the official backend test.

    import onnx.backend.test, quern.backend
    tests = onnx.backend.test.BackendTest(quern.backend, __name__)
"""
from __future__ import annotations

from typing import Any, Optional, Sequence

import onnx
from onnx.backend.base import Backend, BackendRep, Device, DeviceType, namedtupledict

from ._quern import CompiledModel
from .compiling import compile as compile_model
from .errors import QuernError, UsageError
from .sources import load


class QuernBackendRep(BackendRep):
    """A compiled model."""

    def __init__(self, compiled: CompiledModel) -> None:
        self._compiled = compiled

    def run(self, inputs: Any, **options: Any) -> tuple[Any, ...]:
        feed = inputs if isinstance(inputs, dict) else list(inputs)
        results = self._compiled.run(None, feed)
        names = [port.name for port in self._compiled.outputs]
        outputs: tuple[Any, ...] = namedtupledict("Outputs", names)(*results)
        return outputs


class QuernBackend(Backend):
    """Runs models with the native backend, or with `backend="interpreter"`."""

    @classmethod
    def is_compatible(cls, model: onnx.ModelProto, device: str = "CPU", **options: Any) -> bool:
        try:
            load(model)
            return cls.supports_device(device)
        except QuernError:
            return False

    @classmethod
    def prepare(cls, model: onnx.ModelProto, device: str = "CPU", **options: Any) -> QuernBackendRep:
        if not cls.supports_device(device):
            raise UsageError(f"there is no device {device}")
        return QuernBackendRep(compile_model(model, **options))

    @classmethod
    def run_model(cls, model: onnx.ModelProto, inputs: Any, device: str = "CPU",
                  **options: Any) -> tuple[Any, ...]:
        return cls.prepare(model, device, **options).run(inputs)

    @classmethod
    def run_node(cls, node: onnx.NodeProto, inputs: Any, device: str = "CPU",
                 outputs_info: Optional[Sequence[tuple[Any, Any]]] = None,
                 **options: Any) -> tuple[Any, ...]:
        """Runs one node; opset_version says which it is of, the newest unless given."""
        version = options.pop("opset_version", onnx.defs.onnx_opset_version())
        given = [name for name in node.input if name]
        ports = [onnx.helper.make_tensor_value_info(
            name, onnx.helper.np_dtype_to_tensor_dtype(array.dtype), array.shape)
            for name, array in zip(given, inputs)]
        outputs = [onnx.helper.make_empty_tensor_value_info(name) for name in node.output if name]
        for port, info in zip(outputs, outputs_info or []):
            port.type.tensor_type.elem_type = onnx.helper.np_dtype_to_tensor_dtype(info[0])
        graph = onnx.helper.make_graph([node], "node", ports, outputs)
        model = onnx.helper.make_model(
            graph, opset_imports=[onnx.helper.make_opsetid(node.domain, version)])
        if not outputs_info:
            model = onnx.shape_inference.infer_shapes(model)
        return cls.run_model(model, inputs, device, **options)

    @classmethod
    def supports_device(cls, device: str) -> bool:
        return bool(Device(device).type == DeviceType.CPU)


is_compatible = QuernBackend.is_compatible
prepare = QuernBackend.prepare
run_model = QuernBackend.run_model
run_node = QuernBackend.run_node
supports_device = QuernBackend.supports_device
