"""What is no use is refused by a QuernError, in the words of Python."""
import pathlib
import re

import numpy as np
import pytest

import quern
from models import TensorProto, decoder, mlp, nonzero, relu, two_ports
from quern import errors

X = np.ones((1, 3), "f4")


@pytest.mark.parametrize("call, message", [
    (lambda: quern.compile(relu(), threads="4"), r"compile\(\) does not take .*threads: str"),
    (lambda: quern.load(relu()).compile(opt_level=1.5), r"compile\(\) does not take .*: float"),
    (lambda: quern.Model.load(3), r"load\(\) does not take"),
    (lambda: quern.Model.from_bytes("m"), r"from_bytes\(\) does not take"),
    (lambda: quern.load(relu(), dims={"N": "x"}), r"from_bytes\(\) does not take"),
    (lambda: quern.compile(relu(), shapes=[1, 3]), "shapes= is a dict by name, not list"),
    (lambda: quern.compile(relu(), progress=3), "progress= is a function, not int"),
    (lambda: quern.compile(relu(), timeout="soon"), "a time limit is a number of seconds"),
    (lambda: quern.compile(relu(), memory_limit="1G"), "a number of bytes"),
    (lambda: quern.compile(relu()).warm_up(3), r"warm_up\(\) does not take"),
    (lambda: quern.inspect(3), "wanted a path, found int"),
    (lambda: quern.problems(3), "wanted a path, found int"),
])
def test_options_of_other_types(call, message):
    with pytest.raises(quern.UsageError, match=message):
        call()


@pytest.mark.parametrize("call, message", [
    (lambda m: m.run(None, 3), "a list or tuple in order, not int"),
    (lambda m: m.run(None, "x"), "a list or tuple in order, not str"),
    (lambda m: m.run("y", [X]), "the names of outputs are a list, not str"),
    (lambda m: m.run(3, [X]), "the names of outputs are a list, not int"),
    (lambda m: m.run(["z"], [X]), "the model has no output 'z'; it has 'y'"),
    (lambda m: m.run(None, [X], timeout="soon"), "a time limit is a number of seconds"),
    (lambda m: m.run(None, [X], cancellation=3), "wanted a quern.Cancellation, found int"),
    (lambda m: m.run_into([X], 3), "outputs are a list or tuple in order, not int"),
    (lambda m: m.run_into([X], [[1]]), "output 'y': wanted a NumPy array, found list"),
    (lambda m: quern.compare(relu(), 3), "a list or tuple in order, not int"),
    (lambda m: quern.compare(relu(), [None]), "input 'x': None is no tensor"),
])
def test_arguments_of_runs(call, message):
    with pytest.raises(quern.QuernError, match=message):
        call(quern.compile(relu()))


def test_names_of_inputs():
    model, a = quern.compile(two_ports()), np.ones(1, "f4")
    for feed, message in (
            ({"a": a, "img": a}, "input 'b' is missing; the model has no input 'img'; it has 'a' "
                                 "and 'b'$"),
            ({"img": a}, "inputs 'a' and 'b' are missing; the model has no input 'img'"),
            ({"a": a, "b": a, 3: a}, "^the model has no input '3'; it has 'a' and 'b'$")):
        with pytest.raises(quern.InvalidInputError, match=message):
            model.run(None, feed)


def test_casts():
    doubles = np.array([[1.5, -2, 3]])
    model = quern.compile(relu())
    with pytest.raises(quern.InvalidInputError, match=r"wanted float32 Nx3, found float64 1x3: "
                       r"convert it with .astype\('float32'\), or .*cast=True"):
        model(doubles)
    model = quern.compile(relu(), cast=True)
    for x in (doubles, doubles.astype("i8"), np.asfortranarray(doubles), [[1.5, -2, 3]],
              np.array([[1, 0, 1]], bool)):
        np.testing.assert_array_equal(model(x), np.maximum(np.asarray(x), 0).astype("f4"))
    for wrong in (doubles.astype("c8"), np.array([["a", "b", "c"]])):
        with pytest.raises(quern.InvalidInputError, match="'x'"):
            model(wrong)
    # Numbers become no integers, and a number of another kind is not spoken of.
    integers = quern.compile(relu(TensorProto.INT32), cast=True)
    np.testing.assert_array_equal(integers(np.array([[1, -2, 3]])), [[1, 0, 3]])
    with pytest.raises(quern.InvalidInputError, match="wanted int32 Nx3, found float64 1x3$"):
        integers(doubles)


def test_arrays_for_results_whose_size_depends_on_data():
    model, x = quern.compile(nonzero()), np.array([1, 0, 2], "f4")
    places = np.zeros((1, 2), "i8")
    assert model.run_into([x], [places])[0] is places and places.tolist() == [[0, 2]]
    for wrong in (np.zeros((1, 3), "i8"), np.zeros((1, 0), "i8")):
        with pytest.raises(quern.InvalidInputError, match=r"'places': its shape is \(1, 2\), that"):
            model.run_into([x], [wrong])
    with pytest.raises(quern.InvalidInputError, match="its shape is"):  # and no broadcasting
        model.run_into([np.array([0, 0, 2], "f4")], [places])


def test_caches_that_grow():
    """With the length in front, a present that begins where its past does is continued there."""
    given, draw = quern.compile(decoder()), np.random.default_rng(0).standard_normal
    for backend in ("native", "interpreter"):
        model = quern.compile(decoder(), growing_caches=True, backend=backend)
        assert [port.name for port in model.inputs] == ["past", "new", "query"]
        room, past = np.zeros((9, 2, 3, 4), "f4"), np.zeros((2, 3, 0, 4), "f4")
        for length in range(8):
            new, query = (draw((2, 3, 1, 4)).astype("f4") for _ in range(2))
            past, wanted = given.run(None, [past, new, query])
            y = np.zeros((2, 3, 1, length + 1), "f4")
            present = room[:length + 1] if backend == "native" else np.zeros_like(room[:length + 1])
            model.run_into([room[:length], new, query], [present, y])
            room[:length + 1] = present
            np.testing.assert_allclose(y, wanted, rtol=1e-5, atol=1e-6)
            np.testing.assert_array_equal(room[:length + 1], past.transpose(2, 0, 1, 3))
    with pytest.raises(quern.InvalidInputError, match="overlaps input 'past'"):
        quern.compile(decoder(), growing_caches=True).run_into(
            [room[1:3], new, query], [room[:3], np.zeros((2, 3, 1, 3), "f4")])


def test_converters(monkeypatch):
    """What other packages raise is the cause of an UnsupportedError."""
    from quern import sources

    def fail(*_):
        raise KeyError("no such op")

    monkeypatch.setattr(sources, "bytes_of_message", fail)
    with pytest.raises(quern.UnsupportedError, match="converting the model failed: KeyError") as e:
        quern.compile(relu())
    assert isinstance(e.value.__cause__, KeyError)


def test_memory_that_is_not_there():
    x = np.broadcast_to(np.float32(0), (1 << 45, 3))
    with pytest.raises(quern.ResourceLimitError, match="input 'x': Unable to allocate"):
        quern.compile(relu())(x)


@pytest.mark.parametrize("raised, wanted, message", [
    (RuntimeError("on another device"), quern.InvalidInputError,
     "input 'x': RuntimeError: on another device"),
    (TypeError("of no use"), quern.InvalidInputError, "input 'x': of no use"),
    (KeyboardInterrupt(), KeyboardInterrupt, None)])
def test_errors_of_the_code_that_gives_an_array(raised, wanted, message):
    class Fails:
        def __array__(self, dtype=None, copy=None):
            raise raised

    with pytest.raises(wanted, match=message) as caught:
        quern.compile(relu())(Fails())
    assert raised in (caught.value, caught.value.__cause__)


def test_words_of_python(tmp_path):
    with pytest.raises(quern.UnsupportedError, match=r"set those of 'x' with shapes= or dims=$"):
        quern.aot(mlp(), tmp_path / "m.so")


# Up to the end of the line, as C++ writes it.
OTHER_PROGRAMS = re.compile(
    r"(?:optimum-cli|python3 -m tf2onnx\.convert|paddle2onnx|gunzip|git lfs|curl) [^\\]*")


def literals(text):
    """The string literals of C++, neighbours joined."""
    text = re.sub(r"//[^\n]*", "", text)
    joined = re.sub(r'"\s*\n\s*"', "", text)
    return re.findall(r'"((?:[^"\\\n]|\\.)*)"', joined)


def test_values_in_place_of_a_model(tmp_path):
    np.save(tmp_path / "x.npy", np.zeros(3))
    with pytest.raises(quern.InvalidModelError, match=r": quern\.compile\(MODEL\)\(NAME=array\)"):
        quern.compile(tmp_path / "x.npy")


def test_the_library_speaks_of_no_other_options():
    """Each message of the library that names an option of the command has its words here."""
    root = pathlib.Path(__file__).resolve().parents[2]
    if not (root / "api").is_dir():
        pytest.skip("not in the source tree")
    # Of other programs, and in files for who reads the code of an artefact.
    silent = {"LinkObjects.cpp", "AotText.cpp", "AotPrograms.cpp", "AotHeader.cpp",
              "TestProgram.cpp"}
    for folder in ("api", "backends", "frontend", "ir", "passes", "runtime"):
        for path in (root / folder).rglob("*.cpp"):
            if path.name in silent:
                continue
            for text in literals(path.read_text(encoding="utf-8")):
                # What another program is to be called with stays as it is.
                text = OTHER_PROGRAMS.sub("", text)
                if text == "quern quantize":  # the producer, in models that it writes
                    continue
                said = errors.in_pythons_words(text.replace("{}", "1"))
                assert not re.search(r"(^|[ (`])--[a-z]|quern (compile|run|check|bench|compare|explain|inspect|quantize|tune|trace|doctor)\b",
                                     said), f"{path.name}: {text}"
