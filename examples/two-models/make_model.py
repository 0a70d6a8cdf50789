"""Makes upscale.onnx: grey pictures of 4x4 bytes become images of 8x8 floats from 0 to 1.

    python3 make_model.py upscale.onnx
"""
import sys

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

nodes = [helper.make_node("Cast", ["bytes"], ["floats"], to=TensorProto.FLOAT),
         helper.make_node("Div", ["floats", "white"], ["light"]),
         helper.make_node("Resize", ["light", "", "scales"], ["image"], mode="linear")]
constants = [numpy_helper.from_array(np.float32(255), "white"),
             numpy_helper.from_array(np.array([1, 1, 2, 2], np.float32), "scales")]
graph = helper.make_graph(
    nodes, "upscale",
    [helper.make_tensor_value_info("bytes", TensorProto.UINT8, [1, 1, 4, 4])],
    [helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 1, 8, 8])], constants)
onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8),
          sys.argv[1])
