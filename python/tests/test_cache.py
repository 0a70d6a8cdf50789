"""quern.compile(..., cache=True): artefacts that processes share."""
import multiprocessing
import os
import time

import numpy as np
import pytest

import quern
from models import mlp, relu

X = np.linspace(-1, 1, 20, dtype="f4").reshape(2, 10)


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("QUERN_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path / "cache"


def artefacts(folder):
    return sorted(folder.glob("*.so"))


def compiled(model=None, **options):
    return quern.compile(model or mlp(), cache=True, **{"dims": {"N": 2}, **options})


def test_kernels_are_kept(folder, monkeypatch):
    monkeypatch.setenv("QUERN_KERNEL_CACHE", "")
    quern.compile(mlp(), dims={"N": 2}, kernel_cache=False)
    assert not folder.exists()
    wanted = quern.compile(mlp(), dims={"N": 2})(X)
    kernels = {path: path.stat().st_ino for path in folder.glob("kernels/*.kernel")}
    assert kernels
    np.testing.assert_array_equal(quern.compile(mlp(), dims={"N": 2})(X), wanted)
    assert {path: path.stat().st_ino for path in folder.glob("kernels/*.kernel")} == kernels
    np.testing.assert_array_equal(compiled()(X), wanted)
    assert len(artefacts(folder)) == 1


def test_is_made_once(folder):
    wanted = quern.compile(mlp())(X)
    np.testing.assert_array_equal(compiled()(X), wanted)
    (file,) = artefacts(folder)
    made = file.stat().st_ino
    time.sleep(0.01)
    np.testing.assert_array_equal(compiled()(X), wanted)
    assert artefacts(folder) == [file] and file.stat().st_ino == made


def test_what_differs_is_another_artefact(folder, tmp_path):
    compiled()
    compiled(dims={"N": 3})
    compiled(dims={"N": [2, 3]})
    compiled(opt_level=1)
    compiled(target_cpu="baseline")
    compiled(precision="bf16")
    compiled(relu(dims=(1, 3)), dims=None)
    assert len(artefacts(folder)) == 7
    compiled(shapes={"x": np.array([4, 10])}, dims=None)
    compiled(shapes={"x": (4, 10)}, dims=None)
    assert len(artefacts(folder)) == 8
    path = tmp_path / "mlp.onnx"
    path.write_bytes(mlp().SerializeToString())
    compiled(path, dims={"N": np.array([3, 2, 3])})
    assert len(artefacts(folder)) == 8  # the same bytes, and the same sizes


@pytest.fixture
def file(tmp_path, monkeypatch):
    """A model file that may be noted at once."""
    monkeypatch.setattr("quern.cache.SETTLED_NS", -1)
    path = tmp_path / "model.onnx"
    path.write_bytes(mlp().SerializeToString())
    return path


@pytest.fixture
def reads(monkeypatch):
    """The model files that were read."""
    read, bytes_of = [], quern.sources.bytes_of

    def noting(model, *arguments, **options):
        read.append(model)
        return bytes_of(model, *arguments, **options)

    monkeypatch.setattr("quern.sources.bytes_of", noting)
    return read


def test_a_file_that_is_known_is_not_read(file, reads, folder):
    wanted = compiled(file)(X)
    for again in (file, str(file)):
        np.testing.assert_array_equal(compiled(again)(X), wanted)
    assert reads == [file]
    compiled(file, dims={"N": 3})  # other options
    link = file.with_name("link.onnx")
    link.symlink_to(file)
    compiled(link)
    assert reads == [file, file] and len(artefacts(folder)) == 2


def test_a_file_that_has_changed_is_read(file, reads, folder):
    compiled(file)
    before = file.stat()
    other = relu(dims=("N", 10)).SerializeToString()
    file.write_bytes(other)
    np.testing.assert_array_equal(compiled(file)(X), np.maximum(X, 0))
    # The same size and the time of before, in place: its change is noticed.
    content = file.read_bytes()
    file.write_bytes(content.replace(b"Relu", b"Tanh"))
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    np.testing.assert_allclose(compiled(file)(X), np.tanh(X), rtol=1e-5)
    # Another file of the same name, size and time.
    new = file.with_name("new.onnx")
    new.write_bytes(content)
    os.utime(new, ns=(before.st_atime_ns, before.st_mtime_ns))
    os.replace(new, file)
    np.testing.assert_array_equal(compiled(file)(X), np.maximum(X, 0))
    assert len(reads) == 4 and len(artefacts(folder)) == 3


def test_a_file_that_has_just_changed_is_read_again(file, reads, monkeypatch):
    monkeypatch.setattr("quern.cache.SETTLED_NS", 3_600_000_000_000)
    compiled(file)
    compiled(file)
    assert reads == [file, file]


def test_a_file_that_changes_while_it_is_compiled_is_not_noted(file, reads, monkeypatch):
    aot = quern.compiling.aot

    def slow(model, *arguments, **options):
        file.write_bytes(relu(dims=("N", 10)).SerializeToString())
        return aot(model, *arguments, **options)

    wanted = quern.compile(file)(X)
    monkeypatch.setattr("quern.compiling.aot", slow)
    np.testing.assert_array_equal(compiled(file)(X), wanted)
    np.testing.assert_array_equal(compiled(file)(X), np.maximum(X, 0))


@pytest.mark.parametrize("damage", ["artefact", "gone", "note", "name"])
def test_what_is_damaged_is_made_again(file, folder, damage):
    wanted = compiled(file)(X)
    (artefact,), (note,) = artefacts(folder), folder.glob("*.note")
    if damage == "artefact":
        artefact.write_bytes(artefact.read_bytes()[:100])
    elif damage == "gone":
        artefact.unlink()
    else:
        note.write_bytes({"note": b"", "name": b"../../etc/passwd\xff"}[damage])
    np.testing.assert_array_equal(compiled(file)(X), wanted)
    assert len(artefacts(folder)) == 1 and note.read_text() == artefact.stem


def test_notes_do_not_become_ever_more(file, folder, monkeypatch):
    monkeypatch.setattr("quern.cache.MOST_NOTES", 2)
    for rows in range(1, 6):
        compiled(file, dims={"N": rows})
    assert len(list(folder.glob("*.note"))) == 3  # the newest comes after there is room


def test_lists_of_sizes():
    model = compiled(dims={"N": [1, 2]})
    np.testing.assert_array_equal(model(X[:1]), quern.compile(mlp())(X[:1]))
    with pytest.raises(quern.InvalidInputError, match="nearest size"):
        model(np.zeros((5, 10), "f4"))


def test_damaged_files_are_made_again(folder):
    compiled()
    (file,) = artefacts(folder)
    file.write_bytes(file.read_bytes()[:100])
    np.testing.assert_array_equal(compiled()(X), quern.compile(mlp())(X))
    assert artefacts(folder)[0].stat().st_size > 1000


def test_what_a_library_cannot_costs_no_artefact(folder):
    compiled()
    (file,) = artefacts(folder)
    made = file.stat().st_ino
    with pytest.raises(quern.UnsupportedError, match="profile"):
        compiled(profile=True)
    assert artefacts(folder)[0].stat().st_ino == made


def _compile_in_process(out):
    out.put((compiled()(X).tobytes(), os.getpid()))


def test_processes_share_one(folder):
    context = multiprocessing.get_context("spawn")
    out = context.Queue()
    workers = [context.Process(target=_compile_in_process, args=(out,)) for _ in range(3)]
    for worker in workers:
        worker.start()
    results = [out.get(timeout=60) for _ in workers]
    for worker in workers:
        worker.join()
    assert {result for result, _ in results} == {quern.compile(mlp())(X).tobytes()}
    assert len(artefacts(folder)) == 1


def test_the_oldest_go(folder, monkeypatch):
    monkeypatch.setattr("quern.cache.MOST_BYTES", 1)
    compiled()
    (first,) = artefacts(folder)
    time.sleep(0.01)
    compiled(dims={"N": 3})
    (second,) = artefacts(folder)
    assert second != first


def test_folders_of_others_are_refused(folder, monkeypatch):
    folder.mkdir(mode=0o700)
    folder.chmod(0o777)
    with pytest.raises(quern.UsageError, match="not this user's alone"):
        compiled()
    monkeypatch.setenv("QUERN_CACHE_DIR", "")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.delenv("HOME", raising=False)
    with pytest.raises(quern.UsageError, match="set QUERN_CACHE_DIR, or HOME"):
        compiled()


def test_a_cache_that_cannot_be_written_costs_no_answer(folder, caplog):
    folder.write_text("a file where the folder should be")
    np.testing.assert_array_equal(compiled()(X), quern.compile(mlp())(X))
    assert "nothing is kept in the cache" in caplog.text


def test_what_is_refused(tmp_path):
    with pytest.raises(quern.UnsupportedError, match="set those of"):
        compiled(dims=None)
    with pytest.raises(quern.UsageError, match="for native code"):
        compiled(backend="interpreter")
    with pytest.raises(quern.FileError, match="cannot open"):
        compiled(tmp_path / "none.onnx")
    external = mlp()
    external.graph.initializer[0].external_data.add(key="location", value="w.bin")
    with pytest.raises(quern.UsageError, match="external data"):
        compiled(external)
    with pytest.raises(quern.UnsupportedError, match="profile"):
        compiled(profile=True)


def test_predictor(folder):
    predictor = quern.Predictor(mlp(), columns=list("abcdefghij"), cache=True, dims={"N": [1, 2]})
    result = predictor({name: X[:, i] for i, name in enumerate("abcdefghij")})
    np.testing.assert_allclose(result["y"], quern.compile(mlp())(X), rtol=1e-4, atol=1e-5)
    assert len(artefacts(folder)) == 1


def test_failures_leave_no_lock(folder):
    with pytest.raises(quern.UsageError, match="no-such-cpu"):
        compiled(target_cpu="no-such-cpu")
    assert not list(folder.iterdir())
    compiled()
    assert len(list(folder.glob("*.lock"))) == 1
