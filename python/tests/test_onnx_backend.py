"""ONNX's own backend test: all node tests, on models and data of the installed package onnx."""
import pytest

onnx_backend_test = pytest.importorskip("onnx.backend.test")
import quern.backend

tests = onnx_backend_test.BackendTest(quern.backend, __name__)
# Models that would be downloaded.
tests.exclude("OnnxBackendRealModelTest")
tests.exclude(r"test_(bvlc_alexnet|densenet121|inception_v[12]|resnet50|shufflenet|squeezenet"
              r"|vgg19|zfnet512)_")
tests.exclude("_cuda$")
globals().update(tests.test_cases)
