"""quern.aot, and what can be done with the libraries that it writes."""
import ctypes

import numpy as np
import pytest

import quern
from models import TensorProto, helper, long_loop, make_model, mlp, relu

X = np.linspace(-1, 1, 20, dtype="f4").reshape(2, 10)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("artifacts")


@pytest.fixture(scope="module")
def model(folder):
    path = folder / "mlp.onnx"
    path.write_bytes(mlp().SerializeToString())
    return path


@pytest.fixture(scope="module")
def library(folder, model):
    return quern.aot(model, folder / "mlp.so", dims={"N": 2}, target_cpu="host").path


def test_files(folder, model):
    artifact = quern.aot(model, folder / "one.so", header=folder / "one.h", dims={"N": 1},
                         prefix="net")
    assert artifact.bytes > 0 and "one.so" in repr(artifact) and "<td>" in artifact._repr_html_()
    assert "net_run" in (folder / "one.h").read_text()
    ctypes.CDLL(artifact.path).net_info
    assert quern.aot(relu(dims=(1, 3)), folder / "relu.o").bytes > 0
    with pytest.raises(quern.UnsupportedError):
        quern.aot(model, folder / "unknown.so")
    with pytest.raises(quern.FileError):
        quern.aot(relu(), "/no/such/folder/m.so", dims={"N": 1})
    with pytest.raises(quern.UsageError, match="is compiled already"):
        quern.aot(artifact.path, folder / "again.so")


def test_targets(folder, model):
    arm = quern.aot(model, folder / "arm.so", dims={"N": 2}, target="aarch64-linux-gnu")
    with pytest.raises(quern.IncompatibleError):
        quern.load(arm.path)
    several = quern.aot(model, folder / "several.so", dims={"N": 2},
                        target_cpus=["x86-64-v2", "x86-64-v3"])
    np.testing.assert_allclose(quern.load(several.path)(X), quern.compile(model)(X), rtol=1e-3)
    with pytest.raises(quern.UsageError, match="no-such-cpu"):
        quern.aot(model, folder / "none.so", dims={"N": 2}, target_cpu="no-such-cpu")


def test_precision(folder, model):
    made = quern.aot(model, folder / "lowered.so", dims={"N": 2}, precision="bf16")
    assert "precision bf16" in repr(made)
    facts = quern.inspect(made.path)
    assert facts.precision == "bf16" and "precision bf16" in repr(facts)
    assert quern.load(made.path).precision == "bf16"
    compared = quern.compare(made.path, reference=model, seconds=0.01)
    assert compared.passed and compared.precision == "bf16" and " in bf16" in repr(compared)
    for call in (quern.compile, quern.benchmark):
        with pytest.raises(quern.UsageError, match="is compiled: its .*precision"):
            call(made.path, precision="bf16")
    with pytest.raises(quern.UsageError, match="is compiled: its precision is given"):
        quern.compare(made.path, reference=model, precision="bf16")


def test_listed_sizes(folder, model):
    path = quern.aot(model, folder / "sizes.so", dims={"N": [4, 1, 2, 4]}, target_cpu="host").path
    library, jit = quern.load(path), quern.compile(model)
    assert library.inputs[0].shape == jit.inputs[0].shape
    for rows in (1, 4, 2, 1):
        x = np.linspace(-1, 1, 10 * rows, dtype="f4").reshape(rows, 10)
        np.testing.assert_array_equal(library(x), jit(x))
    facts = quern.inspect(path)
    assert facts.sizes == {"N": [1, 2, 4]} and "N is 1, 2, 4" in repr(facts)
    with pytest.raises(quern.InvalidInputError, match="nearest sizes compiled for are 2 and 4"):
        library(np.zeros((3, 10), "f4"))
    assert quern.benchmark(path, seconds=0.01).runs > 0
    quern.aot(model, folder / "range.so", dims={"N": range(2, 7, 2)})
    assert quern.load(folder / "range.so")(np.zeros((6, 10), "f4")).shape == (6, 2)
    for sizes in ([], [-1, 2]):
        with pytest.raises(quern.UsageError, match="'N'"):
            quern.aot(model, folder / "none.so", dims={"N": sizes})


def test_weights_in_a_file(folder, model):
    artifact = quern.aot(model, folder / "apart.so", dims={"N": 2}, weights="file",
                         target_cpu="host")
    facts = quern.inspect(artifact.path)
    assert 0 < facts.weights_bytes <= (folder / "apart.weights").stat().st_size
    assert "in a file of their own" in repr(facts)
    np.testing.assert_array_equal(quern.load(artifact.path)(X),
                                  quern.compile(model, dims={"N": 2})(X))
    with pytest.raises(quern.UsageError, match="'embedded' or in a 'file', and 'given', 'int8' or 'int4', not 'none'"):
        quern.aot(model, folder / "none.so", dims={"N": 2}, weights="none")
    assert "mlp" in quern.aot(model, folder / "mlp.ll", dims={"N": 2}).path
    made = quern.aot(model, folder / "here.so", dims={"N": 2})
    assert made.target_cpus == [quern.inspect(made.path).target_cpu] and made.target_cpus[0] in repr(made)
    assert made.target_cpus == quern.aot(model, folder / "h.o", dims={"N": 2},
                                         target_cpu="host").target_cpus
    assert "define" in (folder / "mlp.ll").read_text()


def test_programs(folder, model):
    made = quern.aot(model, folder / "mlp.c-test", dims={"N": 2}, seed=3)
    names = {path.name for path in (folder / "mlp.c-test").iterdir()}
    assert {"Makefile", "model.h", "model.o", "run.c", "test.c"} <= names and made.bytes > 1000
    quern.aot(model, folder / "with_main.o", dims={"N": 2}, main=folder / "main.c")
    assert "int main(" in (folder / "main.c").read_text()
    with pytest.raises(quern.UsageError, match="the main program .* would replace the artefact"):
        quern.aot(model, folder / "same.o", dims={"N": 2}, main=folder / "same.o")


def test_max_iterations(folder):
    few = quern.aot(long_loop(trips=100), folder / "few.so", max_iterations=10)
    with pytest.raises(quern.ResourceLimitError, match="more iterations"):
        quern.load(few.path)(np.zeros(64, "f4"))
    enough = quern.aot(long_loop(trips=100), folder / "enough.so", max_iterations=1000)
    assert quern.load(enough.path)(np.zeros(64, "f4")).shape == (64,)


def test_reference_kernels_are_linked_in(folder):
    proto = make_model([helper.make_node("Det", ["x"], ["y"])], [("x", TensorProto.FLOAT, [2, 2])],
                       [("y", TensorProto.FLOAT, [])])
    artifact = quern.aot(proto, folder / "det.so")
    assert quern.load(artifact.path)(np.array([[1, 2], [3, 4]], "f4")) == -2
    with pytest.raises(quern.UnsupportedError, match="Det"):
        quern.aot(proto, folder / "no.so", runtime_archive="")


def test_a_library_is_called_as_a_compiled_model_is(library, model):
    compiled = quern.compile(model, dims={"N": 2})
    for loaded in (quern.load(library), quern.load(library, threads=1), quern.compile(library)):
        assert isinstance(loaded, quern.CompiledModel) and loaded.backend == "artifact"
        assert [(p.name, p.dtype, p.shape) for p in loaded.inputs] == [("x", np.float32, (2, 10))]
        assert [(p.name, p.type, p.shape) for p in loaded.outputs] == [
            ("y", "tensor(float)", (2, 2))]
        np.testing.assert_array_equal(loaded(X), compiled(X))
        np.testing.assert_array_equal(loaded.run(["y"], {"x": X})[0], compiled(X))
        y = np.zeros((2, 2), "f4")
        assert loaded.run_into([X], [y])[0] is y
        np.testing.assert_array_equal(y, compiled(X))
        assert "mlp" not in repr(loaded) and "artifact" in repr(loaded)
    assert quern.load(library, threads=1).threads == 1


def test_what_a_library_cannot(library):
    with pytest.raises(quern.UnsupportedError, match="there is no profile"):
        quern.load(library, profile=True)
    with pytest.raises(quern.UsageError, match="compile with profile=True"):
        quern.load(library).profile()
    with pytest.raises(quern.UnsupportedError, match="subnormal"):
        quern.load(library, flush_denormals=False)
    with pytest.raises(quern.InvalidInputError, match="'x': wanted shape 2x10, found 1x10"):
        quern.load(library)(X[:1])
    with pytest.raises(quern.UsageError, match="its sizes are given"):
        quern.load(library, dims={"N": 2})
    with pytest.raises(quern.UsageError, match="unknown options: levle"):
        quern.load(library, levle=1)
    with pytest.raises(quern.UsageError, match="its backend, CPU, level and precision are given"):
        quern.compile(library, opt_level=0)


def test_other_libraries_are_refused(folder):
    other = folder / "other.so"
    other.write_bytes(b"\x7fELF" + bytes(100))
    for function in (quern.load, quern.compile, quern.inspect):
        with pytest.raises(quern.IncompatibleError, match="other.so"):
            function(other)


def test_session(library, model):
    session = quern.InferenceSession(library)
    port = session.get_inputs()[0]
    assert (port.name, port.type, port.shape) == ("x", "tensor(float)", [2, 10])
    wanted = quern.compile(model, dims={"N": 2})(X)
    np.testing.assert_array_equal(session.run(["y"], {"x": X})[0], wanted)
    binding = session.io_binding()
    binding.bind_cpu_input("x", X)
    binding.bind_output("y")
    session.run_with_iobinding(binding)
    np.testing.assert_array_equal(binding.copy_outputs_to_cpu()[0], wanted)
    with pytest.raises(quern.UnsupportedError, match="does not say"):
        session.get_modelmeta()
    options = quern.SessionOptions()
    options.enable_profiling = True
    with pytest.raises(quern.UnsupportedError, match="there is no profile"):
        quern.InferenceSession(library, options)


def test_reports(library, model):
    facts = quern.inspect(library)
    assert facts.inputs[0].shape == (2, 10) and facts.workspace_bytes > 0
    assert "interface version" in repr(facts) and "<td>y</td>" in facts._repr_html_()
    measured = quern.benchmark(library, seconds=0.01, threads=1)
    assert measured.runs > 0 and measured.threads == 1
    assert quern.compare(library, reference=model, seconds=0.01).passed
    with pytest.raises(quern.UsageError, match="reference=MODEL"):
        quern.compare(library)
    with pytest.raises(quern.UsageError, match="no backend 'interpreter' in a library"):
        quern.benchmark(library, backend="interpreter")


def test_predictor(library):
    columns = {name: X[:, i] for i, name in enumerate("abcdefghij")}
    predictor = quern.Predictor(library, columns=list("abcdefghij"))
    np.testing.assert_array_equal(predictor(columns)["y"], quern.load(library)(X))
