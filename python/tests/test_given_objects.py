"""What a run is given stays alive until it is over, whatever others do to where it came from."""
import threading
import time
import weakref

import numpy as np
import pytest

import quern
from models import TensorProto, helper, long_loop, two_ports

# Large enough that its memory goes back to the system when it is freed.
SIZE = 1 << 20


class MadeWhenAsked(list):
    """A list whose elements are made anew each time."""

    def __getitem__(self, i):
        return np.full(SIZE, 1.0 + i, "f4")


@pytest.mark.parametrize("backend", ["native", "interpreter"])
def test_elements_that_nobody_else_holds(backend):
    model = quern.compile(two_ports(), backend=backend)
    total, difference = model.run(None, MadeWhenAsked([0, 0]))
    assert (total == 3).all() and (difference == -1).all()
    targets = [np.empty(SIZE, "f4"), None]
    assert (model.run_into(MadeWhenAsked([0, 0]), targets)[1] == -1).all()


@pytest.mark.parametrize("kind", [dict, list])
def test_reading_an_input_may_change_the_others(kind):
    class Clears:
        def __array__(self, dtype=None, copy=None):
            if kind is dict:
                feed["a"] = None
                feed.update({str(i): None for i in range(1000)})
            else:
                feed.clear()
            np.full(SIZE, 7, "f4")  # where the other one was
            return np.full(SIZE, 2, "f4")

    first = np.full(SIZE, 1, "f4")
    feed = {"a": first, "b": Clears()} if kind is dict else [first, Clears()]
    del first
    assert (quern.compile(two_ports()).run(["sum"], feed)[0] == 3).all()


def test_reading_an_element_may_change_the_map():
    class Clears:
        def __array__(self, dtype=None, copy=None):
            feed.clear()
            feed.update({str(i): None for i in range(1000)})
            return np.array(1, "f4")

    kind = helper.make_map_type_proto(
        TensorProto.STRING, helper.make_tensor_type_proto(TensorProto.FLOAT, []))
    graph = helper.make_graph(
        [helper.make_node("DictVectorizer", ["m"], ["y"], domain="ai.onnx.ml",
                          string_vocabulary=["a", "b"])], "g",
        [helper.make_value_info("m", kind)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)])
    model = quern.compile(helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", 3)],
        ir_version=8))
    feed = {"a": Clears(), "b": np.array(2, "f4")}
    np.testing.assert_array_equal(np.ravel(model(feed)), [1, 2])


def feed_of_a_dict(session, x, options):
    feed = {"x": x}
    return (lambda: session.run(None, feed, options),
            lambda: feed.update(x=np.zeros(64, "f4")))


def feed_of_a_list(session, x, options):
    feed = [x]
    return (lambda: session.run(None, feed, options),
            lambda: feed.__setitem__(0, np.zeros(64, "f4")))


def bound(bind, clear):
    def prepare(session, x, options):
        binding = session.io_binding()
        bind(binding, x)
        binding.bind_output("y")
        return (lambda: session.run_with_iobinding(binding, options),
                lambda: clear(binding))
    return prepare


@pytest.mark.parametrize("prepare", [
    feed_of_a_dict, feed_of_a_list,
    bound(lambda binding, x: binding.bind_cpu_input("x", x),
          lambda binding: binding.clear_binding_inputs()),
    bound(lambda binding, x: binding.bind_ortvalue_input(
              "x", quern.OrtValue.ortvalue_from_numpy(x)),
          lambda binding: binding.bind_cpu_input("x", np.zeros(64, "f4")))])
def test_another_thread_may_replace_an_input_during_the_run(prepare):
    session = quern.InferenceSession(long_loop().SerializeToString())
    options = quern.RunOptions()
    x = np.zeros(64, "f4")
    alive = weakref.ref(x)
    run, replace = prepare(session, x, options)
    ended = []

    def work():
        with pytest.raises(quern.CancelledError):
            run()
        ended.append(True)

    thread = threading.Thread(target=work)
    thread.start()
    time.sleep(0.2)
    del x
    replace()
    assert alive() is not None and not ended
    options.terminate = True
    thread.join(timeout=30)
    assert ended and alive() is None
