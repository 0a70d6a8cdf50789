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
    compiled(relu(dims=(1, 3)), dims=None)
    assert len(artefacts(folder)) == 6
    path = tmp_path / "mlp.onnx"
    path.write_bytes(mlp().SerializeToString())
    compiled(path, dims={"N": np.array([3, 2, 3])})
    assert len(artefacts(folder)) == 6  # the same bytes, and the same sizes


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
