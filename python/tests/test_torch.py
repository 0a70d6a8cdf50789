"""torch: modules, tensors, torch.compile."""
import logging

import numpy as np
import pytest

torch = pytest.importorskip("torch")
import quern
from models import TensorProto, identity, relu


def module():
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Linear(10, 50), torch.nn.ReLU(),
                               torch.nn.Linear(50, 2)).eval()


def needs_exporter():
    pytest.importorskip("onnx")
    pytest.importorskip("onnxscript")


def test_tensors():
    model = quern.compile(relu(dims=("N", "M")))
    x = torch.arange(-6, 6, dtype=torch.float32).reshape(3, 4)
    for tensor in (x, x.T, x.clone().requires_grad_(), x[:, ::2]):
        np.testing.assert_array_equal(model(tensor), torch.relu(tensor).detach().numpy())


def test_bfloat16():
    model = quern.compile(identity(TensorProto.BFLOAT16))
    y = model(torch.tensor([1, 2.5, -3], dtype=torch.bfloat16))
    assert y.view("u2").tolist() == [0x3f80, 0x4020, 0xc040]


def test_module():
    needs_exporter()
    x = torch.randn(3, 10)
    net = module()
    model = quern.compile(net, (x,))
    np.testing.assert_allclose(model(x), net(x).detach().numpy(), rtol=1e-3, atol=1e-5)
    with pytest.raises(quern.UsageError, match="needs example inputs"):
        quern.compile(net)


def test_torch_compile():
    needs_exporter()
    net = module()
    compiled = torch.compile(net, backend="quern")
    with torch.no_grad():
        for rows in (3, 3, 5):
            x = torch.randn(rows, 10)
            torch.testing.assert_close(compiled(x), net(x), rtol=1e-3, atol=1e-5)
        # A weight that has changed is seen.
        net[0].weight.mul_(2)
        x = torch.randn(3, 10)
        torch.testing.assert_close(compiled(x), net(x), rtol=1e-3, atol=1e-5)


def test_what_needs_gradients_stays_with_torch():
    net = module()
    compiled = torch.compile(net, backend="quern")
    compiled(torch.randn(3, 10)).sum().backward()
    assert net[0].weight.grad is not None


def test_pieces_that_cannot_be_exported_stay_with_torch(caplog):
    def function(x):
        values, vectors = torch.linalg.eigh(x @ x.T)
        return values + 1

    x = torch.randn(4, 4)
    with torch.no_grad(), caplog.at_level(logging.INFO, "quern"):
        torch.testing.assert_close(torch.compile(function, backend="quern")(x), function(x))
    assert "left to torch" in caplog.text
