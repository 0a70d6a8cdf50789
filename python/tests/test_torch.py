"""torch: modules, tensors, torch.compile."""
import logging
import pathlib
import subprocess
import sys

import numpy as np
import pytest

from conftest import import_alone

torch = import_alone("torch", "tensorflow")
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


@pytest.fixture
def exports(monkeypatch):
    """The exports so far, as lists of the dimensions that were left open."""
    torch._dynamo.reset()
    from quern import torch_backend
    made = []

    def compile_model(*args, **options):
        made.append([sorted(dims) for dims in options.get("dynamic_shapes", ((),))[0]])
        return quern.compile(*args, **options)

    monkeypatch.setattr(torch_backend, "compile_model", compile_model)
    return made


def agrees(compiled, function, *inputs):
    torch.testing.assert_close(compiled(*inputs), function(*inputs), rtol=1e-3, atol=1e-4)


def test_sizes_that_vary_are_exported_once_more(exports):
    needs_exporter()

    def function(x):
        batch, length, width = x.shape
        heads = x.reshape(batch, length, 2, width // 2).transpose(1, 2)
        return torch.softmax(heads @ heads.transpose(-1, -2), -1).sum(-2) * length

    compiled = torch.compile(function, backend="quern")
    with torch.no_grad():
        for batch, length in ((2, 5), (2, 5), (2, 7), (2, 9), (2, 11), (2, 7), (2, 13), (2, 5)):
            agrees(compiled, function, torch.randn(batch, length, 8))
    assert exports == [[], [[1]]]


def test_precision(exports):
    needs_exporter()
    net, x = module(), torch.randn(4, 10)
    compiled = torch.compile(net, backend="quern", options={"precision": "bf16"})
    with torch.no_grad():
        wanted = net(x)
        for _ in range(2):
            torch.testing.assert_close(compiled(x), wanted, rtol=0,
                                       atol=0.01 * wanted.abs().max().item())
        with pytest.raises(Exception, match="the backend quern has no option speed"):
            torch.compile(module(), backend="quern", options={"speed": 1})(x)
    assert len(exports) == 1


def test_precision_within_a_bound(exports):
    needs_exporter()
    net, x = module(), torch.randn(4, 10)
    compiled = torch.compile(net, backend="quern", options={"precision": "auto", "max_error": 0.05})
    with torch.no_grad():
        wanted = net(x)
        for _ in range(2):
            torch.testing.assert_close(compiled(x), wanted, rtol=0,
                                       atol=0.05 * wanted.abs().max().item())
    assert len(exports) == 1


def test_one_row_is_a_size_of_its_own(exports):
    needs_exporter()
    net = module()
    compiled = torch.compile(net, backend="quern")
    with torch.no_grad():
        for rows in (3, 1, 1, 4, 5, 6, 0, 7):
            agrees(compiled, net, torch.randn(rows, 10))
    assert len(exports) <= 4


def test_graph_breaks(exports):
    needs_exporter()

    def function(x):
        y = torch.relu(x) @ x.T
        if y.sum().item() > 1e9:
            return y
        print(end="")
        return torch.tanh(y) + 1

    compiled = torch.compile(function, backend="quern")
    with torch.no_grad():
        for _ in range(3):
            agrees(compiled, function, torch.randn(4, 4))
    assert len(exports) >= 2


def left_to_torch(function, x, says, caplog):
    torch._dynamo.reset()
    compiled = torch.compile(function, backend="quern")
    with torch.no_grad(), caplog.at_level(logging.INFO, "quern"):
        results = [compiled(x) for _ in range(3)]
    assert says in caplog.text
    return results


def test_pieces_that_change_their_inputs_stay_with_torch(caplog):
    needs_exporter()
    norm = torch.nn.BatchNorm1d(3).train()
    x = torch.randn(8, 3) + 5
    left_to_torch(norm, x, "it changes its inputs", caplog)
    assert norm.num_batches_tracked == 3
    other = torch.nn.BatchNorm1d(3).train()
    with torch.no_grad():
        for _ in range(3):
            other(x)
    torch.testing.assert_close(norm.running_mean, other.running_mean)


def test_what_is_random_stays_random(caplog):
    needs_exporter()
    results = left_to_torch(lambda x: x + torch.rand_like(x), torch.zeros(64), "left to torch",
                            caplog)
    assert not torch.equal(results[1], results[2])


def test_outputs_have_the_strides_of_torch(exports):
    needs_exporter()
    net = torch.nn.Conv2d(3, 8, 3).eval().to(memory_format=torch.channels_last)
    compiled = torch.compile(net, backend="quern")
    with torch.no_grad():
        for size in (8, 8, 9, 10):
            x = torch.randn(2, 3, size, size).to(memory_format=torch.channels_last)
            agrees(compiled, net, x)
            assert compiled(x).stride() == net(x).stride()
    assert exports


def test_an_op_that_quern_does_not_have_stays_with_torch(caplog):
    needs_exporter()
    x = torch.randn(4, 4)
    results = left_to_torch(lambda x: torch.linalg.matrix_exp(x) + 1, x, "left to torch", caplog)
    torch.testing.assert_close(results[2], torch.linalg.matrix_exp(x) + 1)


def test_example():
    needs_exporter()
    example = pathlib.Path(__file__).parents[2] / "examples/torch-compile/classify.py"
    if not example.exists():
        pytest.skip("there is no repository around the tests")
    done = subprocess.run([sys.executable, example, "--no-times"], capture_output=True, text=True,
                          check=True)
    wanted = (example.parent / "README.md").read_text().split("--no-times\n")[1].split("\n\n")[0]
    assert done.stdout.split() == wanted.split()


def warnings_of(caplog):
    return [record.getMessage() for record in caplog.records
            if record.name == "quern" and record.levelno == logging.WARNING]


def test_gradients_are_a_warning_for_each_module(caplog):
    torch._dynamo.reset()
    for _ in range(2):
        net = module()
        compiled = torch.compile(net, backend="quern")
        for rows in (3, 3, 4, 5):
            compiled(torch.randn(rows, 10))
    assert warnings_of(caplog) == 2 * [
        "nothing of Sequential runs in Quern: its parameters or inputs need gradients; call it "
        "under torch.no_grad() or torch.inference_mode()"]


def test_what_runs_is_no_warning(exports, caplog):
    needs_exporter()
    compiled = torch.compile(module(), backend="quern")
    with torch.no_grad():
        for _ in range(2):
            compiled(torch.randn(3, 10))
    assert warnings_of(caplog) == []


def eigenvalues(x):
    return torch.linalg.eigh(x @ x.T)[0] + 1


def broken(x):
    y = eigenvalues(x)
    print(end="")
    return eigenvalues(x) + y


def partly(x):
    y = torch.relu(x) @ x.T
    print(end="")
    return eigenvalues(y)


@pytest.mark.parametrize("function", [eigenvalues, broken, partly])
def test_the_warning_has_the_whole_reason(function, caplog):
    needs_exporter()
    torch._dynamo.reset()
    compiled = torch.compile(function, backend="quern")
    with torch.no_grad():
        for _ in range(3):
            compiled(torch.eye(4))
    found = warnings_of(caplog)
    if function is partly:
        assert found == []
        return
    (warning,) = found
    assert warning.startswith(f"nothing of the function {function.__name__} runs in Quern: ")
    assert "eigh" in warning and "\x1b" not in warning and "\n" not in warning


def test_reasons_are_plain_and_whole():
    from quern.converters import plain, root_cause
    assert plain("\x1b[31mred\x1b[0m\n  two\tlines\x07") == "red two lines"
    try:
        try:
            raise ValueError("where\nit began " + 500 * "x")
        except ValueError as error:
            raise RuntimeError("after that") from error
    except RuntimeError as error:
        assert root_cause(error) == "ValueError: where it began " + 500 * "x"


def test_modules_in_train_mode_are_exported_in_eval_mode(caplog):
    needs_exporter()
    torch.manual_seed(0)
    net = torch.nn.Sequential(torch.nn.Linear(8, 8), torch.nn.Dropout(0.5),
                              torch.nn.BatchNorm1d(8), torch.nn.Dropout(0.5))
    net[2].running_mean.uniform_()
    net[3].eval()
    modes = [part.training for part in net.modules()]
    x = torch.randn(16, 8)
    model = quern.compile(net, (x,))
    assert [part.training for part in net.modules()] == modes == [True, True, True, True, False]
    assert [w for w in warnings_of(caplog) if "Sequential is in train mode" in w]
    mean = net[2].running_mean.clone()
    np.testing.assert_allclose(model(x), net.eval()(x).detach().numpy(), rtol=1e-3, atol=1e-5)
    torch.testing.assert_close(net[2].running_mean, mean)


def test_a_module_keeps_its_mode_when_it_cannot_be_exported():
    needs_exporter()

    class Net(torch.nn.Module):
        def forward(self, x):
            return torch.linalg.eigh(x)[0]

    net = Net()
    with pytest.raises(quern.UnsupportedError, match="torch.onnx cannot convert Net: .*eigh"):
        quern.compile(net, (torch.eye(4),))
    assert net.training


def test_pieces_that_cannot_be_exported_stay_with_torch(caplog):
    def function(x):
        values, vectors = torch.linalg.eigh(x @ x.T)
        return values + 1

    x = torch.randn(4, 4)
    with torch.no_grad(), caplog.at_level(logging.INFO, "quern"):
        torch.testing.assert_close(torch.compile(function, backend="quern")(x), function(x))
    assert "left to torch" in caplog.text


#===-----------------------------------------------------------------------===#
# torch.export, and compare
#===-----------------------------------------------------------------------===#


class GivesDict(torch.nn.Module):
    def forward(self, z, a):
        return {"sum": z + a, "difference": z - a}


def program_of(net, *inputs):
    rows = torch.export.Dim("rows", max=1000)
    return torch.export.export(net, inputs, dynamic_shapes=tuple({0: rows} for _ in inputs))


def test_programs(tmp_path):
    needs_exporter()
    net = module()
    program = program_of(net, torch.randn(3, 10))
    torch.export.save(program, tmp_path / "net.pt2")
    for given in (program, tmp_path / "net.pt2"):
        model = quern.compile(given)
        for rows in (3, 8):
            x = torch.randn(rows, 10)
            np.testing.assert_allclose(model(x), net(x).detach().numpy(), rtol=1e-3, atol=1e-5)


def test_dicts():
    needs_exporter()
    z, a = torch.randn(3, 4), torch.randn(3, 4)
    net = GivesDict()
    for model in (quern.compile(net, (z, a)), quern.compile(program_of(net, z, a))):
        assert [port.name for port in model.inputs] == ["z", "a"]
        found = model(z, a)
        np.testing.assert_allclose(found["sum"], (z + a).numpy(), rtol=1e-3)
        np.testing.assert_allclose(found["difference"], (z - a).numpy(), rtol=1e-3)


def test_compare():
    needs_exporter()
    net, x = module().train(), torch.randn(3, 10)
    before = torch.get_num_threads()
    report = quern.compile(net, (x,), threads=1).compare(seconds=0.02)
    assert [system.name for system in report.systems][:3] == ["Quern", "torch", "torch.compile"]
    assert report.passed and [system.threads for system in report.systems[:2]] == [1, 1]
    assert torch.get_num_threads() == before and net.training
    program = program_of(net.eval(), x)
    assert quern.compile(program).compare(seconds=0.02).passed
