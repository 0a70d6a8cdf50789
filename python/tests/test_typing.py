"""Programs that mypy checks strictly; stubs against what they are of."""
import subprocess
import sys

import pytest

import quern

pytest.importorskip("mypy")

PROGRAM = '''
import numpy as np
import quern
import quern as ort

model = quern.compile("model.onnx", dims={"N": 1, "M": [1, 2]}, cache=True)
ports: tuple[quern.Port, ...] = model.inputs
model.check_inputs({"x": np.zeros(3)})
y = model(np.zeros(3))
(z,) = model.run(["z"], {"x": y}, timeout=2.0)
names: list[str] = [port.name for port in quern.load("model.onnx").inputs]
artifact: quern.Artifact = quern.aot("model.onnx", "model.so", header="model.h")
print(artifact.path, quern.compare("model.onnx").speedup, quern.benchmark("model.onnx").runs)
print(quern.inspect("model.onnx").inputs, quern.problems("model.onnx"), quern.__version__)
predictor = quern.Predictor("model.onnx", columns=["a"], outputs={"y": "p"})
print(predictor({"a": np.zeros(3)}), predictor.output_schema)
try:
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_ALL
    session = ort.InferenceSession("model.onnx", options, providers=["CPUExecutionProvider"])
    outputs: list[object] = session.run(None, {session.get_inputs()[0].name: y})
    value: ort.OrtValue = ort.OrtValue.ortvalue_from_numpy(y)
except quern.InvalidInputError as error:
    code: int = error.code
'''


def mypy(tmp_path, *arguments):
    done = subprocess.run([sys.executable, "-m", *arguments], capture_output=True, text=True,
                          cwd=tmp_path)
    return done.returncode, done.stdout + done.stderr


def test_a_program_is_clean(tmp_path):
    exported = "".join(f"quern.{name}\n" for name in quern.__all__)
    (tmp_path / "program.py").write_text(PROGRAM + exported)
    code, text = mypy(tmp_path, "mypy", "--strict", "program.py")
    assert code == 0, text


def test_mistakes_are_found(tmp_path):
    (tmp_path / "program.py").write_text(
        "import quern\nquern.compile('m', threads='two')\nquern.Predictor(1, columns=3)\n"
        "quern.InferenceSession('m').run('y')\n")
    code, text = mypy(tmp_path, "mypy", "--strict", "program.py")
    assert code == 1
    for line in (2, 3, 4):
        assert f"program.py:{line}: error" in text


def test_the_package_is_clean(tmp_path):
    """Whichever of the packages that it takes models of and serves by are here, and have types."""
    missing = [f"--disable-error-code={code}" for code in ("import-not-found", "import-untyped")]
    code, text = mypy(tmp_path, "mypy", "--strict", "--follow-imports=silent", "--no-warn-unused-ignores",
                      *missing, "--allow-subclassing-any", "-p", "quern")
    assert code == 0, text


def test_stubs_say_what_there_is(tmp_path):
    modules = [f"quern.{name}" for name in ("session", "binding", "options")]
    code, text = mypy(tmp_path, "mypy.stubtest", "--ignore-missing-stub", *modules)
    assert code == 0, text
