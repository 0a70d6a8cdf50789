"""quern.serving without any server: requests, batches, bounds, versions."""
import random
import shutil
import threading
import time

import numpy as np
import pytest

import quern
from models import helper, make_model, mlp, relu, two_ports, TensorProto
from quern.serving import (DeadlineError, Limits, OverloadedError, Settings, StoppingError,
                           UnknownModelError)
from quern.serving.batch_sizes import BatchSizes
from quern.serving.errors import answer_for
from serving_cases import (folder, put, rows, run_threads, serve, slow,  # noqa: F401
                           wait_until)


def test_batch_sizes_cover_rows_by_the_cheapest_runs():
    sizes = BatchSizes({1: 1.0, 4: 2.0, 8: 3.5})
    assert sizes.cover(1) == [1]
    assert sizes.cover(3) == [4]  # padded: cheaper than three runs
    assert sizes.cover(5) == [4, 1]
    assert sizes.cover(20) == [8, 8, 4]
    for count in range(1, 100):
        cover = sizes.cover(count)
        assert sum(cover) >= count > sum(cover[:-1])


def test_requests_of_many_threads_get_their_own_rows(folder):
    service = serve(folder, settings=Settings(batch_sizes=[1, 4, 16], max_delay_ms=5))
    x = rows(64)
    wanted = quern.compile(mlp())(x)

    def ask(seed):
        draw = random.Random(seed)
        for _ in range(30):
            begin, count = draw.randrange(40), draw.randrange(1, 24)
            found = service.infer("mlp", {"x": x[begin:begin + count]})["y"]
            np.testing.assert_allclose(found, wanted[begin:begin + count], rtol=1e-5, atol=1e-5)
    failures = run_threads(8, ask)
    assert service.stop(10) and not failures


def test_requests_that_wait_together_run_together(folder):
    service = serve(folder, settings=Settings(batch_sizes=[4], max_delay_ms=10_000))
    seen = []
    run = service.repository.get("mlp")._batcher._run
    service.repository.get("mlp")._batcher._run = lambda batch: seen.append(batch.rows) or run(batch)
    tickets = [service.submit("mlp", {"x": rows(1, seed=i)}) for i in range(8)]
    for ticket in tickets:
        ticket.future.result(30)
    assert seen == [4, 4]
    service.stop(10)


def test_a_request_waits_no_longer_than_the_delay(folder):
    service = serve(folder, settings=Settings(batch_sizes=[1024], max_delay_ms=30))
    service.infer("mlp", {"x": rows(1)})
    service.stop(10)


@pytest.mark.parametrize("inputs, message", [
    ({}, "input 'x' is missing"),
    ({"x": rows(2), "z": rows(1)}, "the model has no input 'z'"),
    ({"x": rows(2, width=7)}, "wanted shape Nx10, found 2x7"),
    ({"x": rows(2).astype("f8")}, "wanted float32 Nx10, found float64 2x10"),
])
def test_wrong_inputs_are_refused_in_the_words_of_run(folder, inputs, message):
    service = serve(folder)
    with pytest.raises(quern.InvalidInputError) as error:
        service.submit("mlp", inputs)
    assert message in str(error.value) and "astype" not in str(error.value)
    assert answer_for(error.value)[:2] == (400, "INVALID_ARGUMENT")
    with pytest.raises(quern.InvalidInputError, match="the model has no output 'p'; it has 'y'"):
        service.submit("mlp", {"x": rows(1)}, outputs=["p"])
    service.stop(10)


def test_a_full_queue_refuses_and_what_waits_is_answered_or_told(tmp_path):
    slow(tmp_path)
    service = serve(tmp_path, limits=Limits(queue=3, seconds=600))
    x = {"x": np.zeros(64, "f4")}
    running = service.submit("slow", x)
    while len(service.repository.get("slow")):
        time.sleep(0.01)
    waiting = [service.submit("slow", x) for _ in range(3)]
    with pytest.raises(OverloadedError, match="3 requests wait") as error:
        service.submit("slow", x)
    assert answer_for(error.value)[:2] == (429, "UNAVAILABLE")
    # One that is taken back makes room, and one that runs ends.
    waiting[0].cancel()
    waiting.append(service.submit("slow", x))
    running.cancel()
    with pytest.raises(quern.CancelledError):
        running.future.result(30)
    for ticket in waiting:
        ticket.cancel()
    assert service.stop(30)
    with pytest.raises(StoppingError):
        service.submit("slow", x)


def test_requests_have_a_deadline_waiting_and_running(tmp_path):
    slow(tmp_path)
    service = serve(tmp_path, limits=Limits(seconds=600))
    x = {"x": np.zeros(64, "f4")}
    running = service.submit("slow", x, seconds=0.2)
    waiting = service.submit("slow", x, seconds=0.1)
    for ticket in (running, waiting):
        with pytest.raises(DeadlineError):
            ticket.future.result(30)
    service.stop(10)


def test_the_fault_of_one_request_is_not_that_of_others(tmp_path):
    """An index out of range is found by the run."""
    model = make_model([helper.make_node("Gather", ["table", "x"], ["y"])],
                       [("x", TensorProto.INT64, ["N", 1])], [("y", TensorProto.FLOAT, ["N", 1])],
                       [("table", np.arange(4, dtype="f4"))])
    put(tmp_path, "gather", 1, model, batch_sizes=[4], max_delay_ms=10_000)
    service = serve(tmp_path)
    tickets = [service.submit("gather", {"x": np.array([[i]])}) for i in (0, 1, 9, 3)]
    for i, ticket in zip((0, 1, 9, 3), tickets):
        if i == 9:
            with pytest.raises(quern.InvalidInputError):
                ticket.future.result(30)
        else:
            assert ticket.future.result(30)[0] == [[i]]
    service.stop(10)


@pytest.mark.parametrize("nodes, why", [
    ([helper.make_node("Softmax", ["x"], ["y"], axis=0)], "depend on other rows"),
    ([helper.make_node("RandomNormalLike", ["x"], ["y"])], "depend on other rows"),
    ([helper.make_node("ReduceMean", ["x"], ["y"], axes=[0], keepdims=1)], "no row for each"),
])
def test_rows_that_are_not_independent_run_alone(tmp_path, nodes, why):
    put(tmp_path, "m", 1, make_model(nodes, [("x", TensorProto.FLOAT, ["N", 3])],
                                     [("y", TensorProto.FLOAT, [None, 3])]))
    service = serve(tmp_path)
    assert why in service.repository.get("m").why_alone
    service.infer("m", {"x": rows(3, width=3)})
    service.stop(10)


def test_independent_rows_and_artefacts_share_runs(tmp_path):
    put(tmp_path, "two", 1, two_ports())
    put(tmp_path, "fixed", 1, relu(dims=(2, 3)))
    place = tmp_path / "library" / "1"
    place.mkdir(parents=True)
    quern.aot(mlp(), place / "model.so", dims={"N": [2, 8]})
    service = serve(tmp_path)
    assert service.repository.get("two").why_alone is None
    assert "has 2 rows" in service.repository.get("fixed").why_alone
    library = service.repository.get("library")
    assert library.why_alone is None and library._any_sizes() == [2, 8]
    for count in (1, 2, 7, 19):
        found = service.infer("library", {"x": rows(count)})["y"]
        np.testing.assert_allclose(found, quern.compile(mlp())(rows(count)), rtol=1e-5, atol=1e-5)
    with pytest.raises(quern.InvalidInputError, match="'b'"):
        service.infer("two", {"a": np.zeros(2, "f4"), "b": np.zeros(3, "f4")})
    service.stop(10)


def test_versions_appear_change_and_go_without_a_failed_request(folder):
    service = serve(folder, poll_seconds=0.05)
    stop, failures = threading.Event(), []

    def ask():
        while not stop.is_set():
            try:
                service.infer("mlp", {"x": rows(2)})
            except Exception as error:
                failures.append(error)
    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for version in (2, 3, 4):
        put(folder, "mlp", version, mlp())
        shutil.rmtree(folder / "mlp" / str(version - 1))  # what it serves is not yet replaced
        wait_until(lambda: service.repository.versions("mlp") == [version])
    stop.set()
    for thread in threads:
        thread.join()
    assert not failures
    # What cannot be loaded takes nobody's place.
    (folder / "mlp" / "5").mkdir()
    (folder / "mlp" / "5" / "model.onnx").write_bytes(b"no model")
    wait_until(lambda: "mlp/5" in service.repository.failures())
    assert service.repository.versions("mlp") == [4]
    shutil.rmtree(folder / "mlp")
    wait_until(lambda: not service.repository.names())
    with pytest.raises(UnknownModelError, match="no model 'mlp'"):
        service.infer("mlp", {"x": rows(1)})
    service.stop(10)


def test_settings_say_which_versions_are_served_and_are_checked(folder):
    put(folder, "mlp", 2, mlp(), versions=2)
    put(folder, "bad", 1, mlp(), batch_size=[1])
    service = serve(folder)
    assert service.repository.versions("mlp") == [1, 2]
    assert service.submit("mlp", {"x": rows(1)}, version="1").served.version == 1
    assert service.submit("mlp", {"x": rows(1)}).served.version == 2
    with pytest.raises(UnknownModelError, match="has no version '7'; it has 1, 2"):
        service.submit("mlp", {"x": rows(1)}, version="7")
    assert "wanted an object with some of" in service.repository.failures()["bad"]
    service.repository.unload("mlp")
    assert service.repository.names() == []
    service.repository.load("mlp")
    assert service.repository.names() == ["mlp"]
    service.stop(10)
    for wrong in ({"batch_sizes": []}, {"batching": "yes"}, {"max_delay_ms": "2"}, {"threads": -1},
                  {"compile": {"cache": True}}, {"versions": 0}, {"warm_up": [3]}):
        with pytest.raises(quern.UsageError):
            Settings(**wrong)


def test_metrics_count_what_becomes_of_requests(folder):
    prometheus = pytest.importorskip("prometheus_client", reason="needs prometheus_client")
    from quern.serving.metrics import Metrics
    registry = prometheus.CollectorRegistry()
    service = serve(folder, metrics=Metrics(registry), settings=Settings(batch_sizes=[1, 4]))
    service.infer("mlp", {"x": rows(4)})
    for name in ("mlp", "made up"):
        with pytest.raises((quern.InvalidInputError, UnknownModelError)):
            service.infer(name, {})
    service.stop(10)

    def value(series, **labels):
        return registry.get_sample_value(f"quern_{series}", labels)
    assert value("requests_total", model="mlp", outcome="ok") == 1
    assert value("requests_total", model="mlp", outcome="invalid") == 1
    assert value("requests_total", model="", outcome="unknown_model") == 1
    assert value("batch_rows_sum", model="mlp") == 4
    assert value("new_sizes_total", model="mlp") is None
    assert value("loads_total", model="mlp", outcome="ready") == 1


def test_spans_of_requests_and_runs(folder):
    pytest.importorskip("opentelemetry.sdk", reason="needs opentelemetry-sdk")
    from opentelemetry import trace
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    trace.set_tracer_provider(provider)
    service = serve(folder)
    parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    service.submit("mlp", {"x": rows(1)}, headers={"traceparent": parent}).future.result(30)
    service.stop(10)
    spans = {span.name: span for span in exporter.get_finished_spans()}
    assert spans["quern.request"].attributes["quern.model"] == "mlp"
    assert f"{spans['quern.request'].context.trace_id:032x}" == parent.split("-")[1]
    assert spans["quern.run"].parent.span_id == spans["quern.request"].context.span_id
