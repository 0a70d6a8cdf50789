"""The command `quern`, as the package brings it."""
import importlib.metadata
import os
import pathlib
import shutil
import signal
import subprocess
import sys

import pytest

import quern
from models import mlp


def command(*arguments, **options):
    return subprocess.run([sys.executable, "-m", "quern", *arguments], capture_output=True,
                          **{"text": True, **options})


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "mlp.onnx"
    path.write_bytes(mlp().SerializeToString())
    return path


def test_it_runs(path, tmp_path):
    assert command("--version").stdout.split() == ["quern", quern.__version__]
    done = command("compare", path, "--dim", "N=2", "--json", "-q")
    assert done.returncode == 0 and '"schema":"quern.compare/' in done.stdout.replace(" ", "")
    done = command("compile", path, "--dim", "N=2", "-o", tmp_path / "mlp.so")
    assert done.returncode == 0 and quern.load(tmp_path / "mlp.so").backend == "artifact"


def test_exit_codes(tmp_path):
    assert command().returncode == 2
    done = command("run", tmp_path / "none.onnx")
    assert done.returncode == quern.FileError.code and "none.onnx" in done.stderr
    # A name that is no UTF-8 is shown escaped.
    done = command("run", os.fsencode(tmp_path) + b"/\xff.onnx", text=False)
    assert done.returncode == quern.FileError.code and rb"\xFF.onnx" in done.stderr


def test_a_pipe_that_is_closed_ends_it(path):
    ended = subprocess.run(f"'{sys.executable}' -m quern manual; echo $? >&2", shell=True,
                           stdout=os.open("/dev/null", os.O_WRONLY), stderr=subprocess.PIPE)
    assert ended.stderr.split() == [b"0"]
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as closed:
        done = subprocess.run([sys.executable, "-m", "quern", "manual"], stdout=closed,
                              stderr=subprocess.PIPE)
    assert done.returncode == -signal.SIGPIPE and done.stderr == b""


def test_the_runtime_archive_is_found(tmp_path):
    """What needs reference kernels is linked with the archive beside the package."""
    from models import TensorProto, helper, make_model
    model = make_model([helper.make_node("Det", ["x"], ["y"])],
                       [("x", TensorProto.FLOAT, [2, 3, 3])], [("y", TensorProto.FLOAT, [2])])
    (tmp_path / "det.onnx").write_bytes(model.SerializeToString())
    done = command("compile", tmp_path / "det.onnx", "-o", tmp_path / "det.so")
    assert done.returncode == 0, done.stderr
    assert quern.load(tmp_path / "det.so").inputs[0].name == "x"


def test_what_is_installed():
    """Of a wheel: the command, its licences, and what it says of itself."""
    try:
        package = importlib.metadata.distribution("quern")
        files = [str(file) for file in package.files or ()]
    except importlib.metadata.PackageNotFoundError:
        files = []
    if not any(name.endswith("WHEEL") for name in files):
        pytest.skip("the package is not installed from a wheel")
    texts = {pathlib.Path(name).name: package.read_text(f"licenses/{pathlib.Path(name).name}")
             for name in files if "/licenses/" in name}
    assert "Apache License" in texts["LICENSE"]
    bundled = [name for name in files if name.startswith("quern.libs/")]
    notices = texts["NOTICES"]
    for library in ("llvm-19", "libtbb12", "libfmt9", "libprotobuf32", "libonnx1", "libre2-9",
                    "libjpeg62-turbo", "libpng16-16", "libtiff6", "libwebp7", "libopenjp2-7",
                    "zlib1g", "libzstd1", "libcli11-dev", "nlohmann-json3-dev", "libstdc++"):
        assert library in notices, library
    assert "Wenzel Jakob" in notices and bundled
    facts = package.metadata
    assert facts["License-Expression"] == "Apache-2.0" and facts["Author"]
    assert any("Python :: 3.12" in line for line in facts.get_all("Classifier"))
    assert facts["Requires-Python"] == ">=3.9" and facts["Keywords"]
    done = subprocess.run([shutil.which("quern", path=os.path.dirname(sys.executable)), "version"],
                          capture_output=True, text=True)
    assert done.returncode == 0 and done.stdout.startswith(f"quern {quern.__version__}")
