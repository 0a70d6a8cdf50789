"""quern.serving without any server: requests, batches, bounds, versions."""
import asyncio
import gc
import json
import os
import random
import shutil
import struct
import threading
import time

import numpy as np
import pytest

import quern
from models import helper, identity, long_loop, make_model, mlp, relu, two_ports, TensorProto
from quern.serving import (DeadlineError, Limits, OverloadedError, Service, Settings,
                           StoppingError, TooLargeError, UnknownModelError)
from quern.serving import protocol
from quern.serving.batch_sizes import BatchSizes
from quern.serving.errors import answer_for
from quern.serving.rest import Endpoints, not_found
from quern.serving.waiting import Overdue, answered


def put(folder, name, version, model, **settings):
    """As files should be put there: whole, by a change of name."""
    place = folder / name / f".{version}"
    place.mkdir(parents=True)
    (place / "model.onnx").write_bytes(model.SerializeToString())
    if settings:
        (folder / name / "settings.json").write_text(json.dumps(settings))
    place.rename(place.with_name(str(version)))


@pytest.fixture
def folder(tmp_path):
    put(tmp_path, "mlp", 1, mlp())
    return tmp_path


def serve(folder, **options):
    options.setdefault("poll_seconds", 0)
    return Service(folder, **options)


def rows(count, width=10, seed=0):
    return np.random.default_rng(seed).normal(size=(count, width)).astype("f4")


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


def run_threads(count, work):
    failures = []

    def guarded(i):
        try:
            work(i)
        except BaseException as error:
            failures.append(error)
    threads = [threading.Thread(target=guarded, args=(i,)) for i in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return failures


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


def slow(folder, **settings):
    """A model of one run at a time that takes minutes, unless it is cancelled."""
    put(folder, "slow", 1, long_loop(), batching="off", **settings)


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


def wait_until(holds):
    end = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.02)


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


def test_the_protocol_takes_json_and_binary_data():
    x = rows(2, width=3)
    head = {"id": "7", "parameters": {"binary_data_output": True, "timeout": 2_000_000}, "inputs": [
        {"name": "x", "datatype": "FP32", "shape": [2, 3], "parameters": {"binary_data_size": 24}},
        {"name": "i", "datatype": "INT8", "shape": [3], "data": [1, -2, 127]},
        {"name": "s", "datatype": "BYTES", "shape": [2, 1], "data": [["a"], ["b"]]}]}
    text = json.dumps(head).encode()
    request = protocol.decode_request(text + x.tobytes(), str(len(text)), Limits())
    np.testing.assert_array_equal(request.inputs["x"], x)
    np.testing.assert_array_equal(request.inputs["i"], np.array([1, -2, 127], "i1"))
    assert request.inputs["s"].tolist() == [["a"], ["b"]]
    assert request.id == "7" and request.seconds == 2 and request.is_binary("anything")
    strings = struct.pack("<I", 2) + "ü".encode() + struct.pack("<I", 0)
    array = protocol.from_bytes("s", "BYTES", [2], strings, Limits())
    assert array.tolist() == ["ü", ""]
    assert bytes(protocol.bytes_of(array)) == strings


def hostile_requests(count):
    """Bodies that break one rule each, or several: (body, header length)."""
    draw = random.Random(1)
    good = {"inputs": [{"name": "x", "datatype": "FP32", "shape": [1, 10], "data": [0.5] * 10}]}
    odd = [None, -1, 2**70, 1e300, True, "x", "", [], {}, [[]], [None], [-1], [2**40, 2**40], [1] * 99,
           "FP33", "\ud800", {"binary_data_size": 2**50}, {"binary_data_size": "8"}, [[1], 2]]

    def damaged(value, depth=0):
        if depth and draw.random() < 0.25:
            return draw.choice(odd)
        if isinstance(value, dict):
            kept = {key: damaged(item, depth + 1) for key, item in value.items()
                    if draw.random() > 0.1}
            if draw.random() < 0.2:
                kept[draw.choice(["parameters", "outputs", "id", "name"])] = draw.choice(odd)
            return kept
        if isinstance(value, list):
            return [damaged(item, depth + 1) for item in value] * draw.choice([1, 1, 1, 0, 2])
        return value
    for i in range(count):
        kind = i % 4
        text = json.dumps(damaged(good)).encode()
        if kind == 1:
            text = bytes(draw.randrange(256) for _ in range(draw.randrange(200)))
        elif kind == 2:
            text = text[:draw.randrange(len(text) + 1)] + b"[" * draw.randrange(5000)
        yield text, draw.choice([None, None, str(len(text)), "9999999", "-3", "x", "\u0663"])


def test_hostile_bodies_are_refused(folder):
    service = serve(folder)
    refused = 0
    for body, length in hostile_requests(1000):
        try:
            request = protocol.decode_request(body, length, service.limits)
            service.submit("mlp", request.inputs, outputs=request.outputs).future.result(30)
        except (quern.InvalidInputError, TooLargeError) as error:
            assert 400 <= answer_for(error)[0] < 500
            refused += 1
    assert refused > 900
    service.stop(10)


@pytest.mark.parametrize("shape", [[2**31, 2**31], [1 << 27], [0, -1], [1] * 40, [2.0], "3", [True]])
def test_shapes_are_looked_at_before_anything_is_allocated(shape):
    with pytest.raises((quern.InvalidInputError, TooLargeError)):
        protocol.from_bytes("x", "FP32", shape, b"", Limits())


def test_many_strings_do_not_become_one_wide_array():
    """NumPy would give each of them the width of the longest."""
    data = ["x" * 100_000] + ["y"] * 50_000
    array = protocol.from_numbers("s", "BYTES", [len(data)], data, Limits())
    assert array.dtype == object


def test_outputs_as_json_and_as_bytes():
    model = quern.compile(identity(TensorProto.FLOAT16))
    x = np.array([1.5, -2], "f2")
    request = protocol.InferenceRequest({}, ["y"], False, "q")
    head, binary = protocol.encode_response("m", 3, request, [(model.outputs[0], x)])
    assert json.loads(head) == {"model_name": "m", "model_version": "3", "id": "q", "outputs": [
        {"name": "y", "datatype": "FP16", "shape": [2], "data": [1.5, -2.0]}]} and not binary
    request.binary = True
    head, binary = protocol.encode_response("m", 3, request, [(model.outputs[0], x)])
    assert bytes(binary[0]) == x.tobytes()
    assert json.loads(head)["outputs"][0]["parameters"] == {"binary_data_size": 4}


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


def test_requests_leave_nothing_to_the_garbage_collector(folder):
    """A collection stops all requests: what they need comes back when they are answered."""
    async def receive():
        return {"type": "http.request", "body": body}

    async def send(message):
        sent.append(message)
    message = {"inputs": [{"name": "x", "datatype": "FP32", "shape": [1, 10], "data": [0.5] * 10}]}
    body, sent = json.dumps(message).encode(), []
    scope = {"type": "http", "method": "POST", "path": "/v2/models/mlp/infer", "headers": []}
    service = serve(folder, settings=Settings(batch_sizes=[1, 8], max_delay_ms=1))
    ask = Endpoints(not_found, service)

    async def ask_often():
        for _ in range(25):
            await asyncio.gather(*(ask(scope, receive, send) for _ in range(8)))

    async def counted():
        await ask_often()
        gc.collect()
        gc.disable()
        try:
            await ask_often()
            return gc.collect()
        finally:
            gc.enable()
    assert asyncio.run(counted()) < 100
    assert {found["status"] for found in sent if "status" in found} == {200}
    service.stop(10)


def test_an_event_loop_is_woken_once_for_what_is_answered_together(folder):
    service = serve(folder, settings=Settings(batch_sizes=[1, 64], max_delay_ms=200))

    async def run():
        loop = asyncio.get_running_loop()
        calls, call = [], loop.call_soon_threadsafe
        loop.call_soon_threadsafe = lambda *given: (calls.append(given), call(*given))
        tickets = [service.submit("mlp", {"x": rows(1, seed=i)}) for i in range(64)]
        found = await asyncio.gather(*map(answered, tickets))
        return len(calls), found
    calls, found = asyncio.run(run())
    # While one answer is told the loop may run already.
    assert calls < 32
    x = np.concatenate([rows(1, seed=i) for i in range(64)])
    np.testing.assert_allclose(np.concatenate([y for (y,) in found]), quern.compile(mlp())(x),
                               rtol=1e-5, atol=1e-5)
    service.stop(10)


def test_a_client_that_goes_away_takes_its_request_along(folder):
    service = serve(folder, settings=Settings(batch_sizes=[1, 64], max_delay_ms=20_000))

    async def gone():
        await asyncio.sleep(0.01)

    async def run():
        tickets = [service.submit("mlp", {"x": rows(1)}) for _ in range(3)]
        waiting = [asyncio.ensure_future(answered(ticket, gone)) for ticket in tickets[:2]]
        waiting.append(asyncio.ensure_future(answered(tickets[2])))
        await asyncio.sleep(0)
        waiting[2].cancel()
        found = await asyncio.gather(*waiting, return_exceptions=True)
        assert all(ticket.request.ended for ticket in tickets)
        return [type(error) for error in found]
    began = time.monotonic()
    assert asyncio.run(run()) == [quern.CancelledError] * 2 + [asyncio.CancelledError]
    assert time.monotonic() - began < 10
    service.stop(10)


def test_a_loop_that_is_gone_and_a_call_that_fails_hold_up_nobody(folder, caplog):
    service = serve(folder, settings=Settings(batch_sizes=[1, 64], max_delay_ms=300))
    loop = asyncio.new_event_loop()
    tickets = [service.submit("mlp", {"x": rows(1)}) for _ in range(3)]
    waiting = loop.create_task(answered(tickets[0]))
    loop.run_until_complete(asyncio.sleep(0))
    loop.close()

    def fails(request):
        raise ValueError("on purpose")
    tickets[1].request.when_ended(fails)
    assert len(tickets[2].future.result(30)[0]) == 1
    assert "on purpose" in caplog.text
    assert len(service.infer("mlp", {"x": rows(1)})["y"]) == 1
    waiting._log_destroy_pending = False
    service.stop(10)


def test_what_is_overdue_is_called_in_its_order_and_what_has_left_is_not():
    called = []

    async def run():
        overdue = Overdue(0.02)
        for i in range(4):
            overdue.enter(i, lambda i=i: called.append(i))
        overdue.leave(1)
        await asyncio.sleep(0.03)
        overdue.enter(4, lambda: called.append(4))
        overdue.leave(5)  # was never there
        for _ in range(100):
            if len(called) == 4:
                break
            await asyncio.sleep(0.01)
    asyncio.run(run())
    assert called == [0, 2, 3, 4]


def test_a_future_of_a_request_that_has_ended_and_one_that_was_cancelled(folder):
    service = serve(folder, settings=Settings(max_delay_ms=50))
    ticket = service.submit("mlp", {"x": rows(1)})
    other = service.submit("mlp", {"x": rows(1)})
    assert other.future.cancel()
    assert len(ticket.future.result(30)[0]) == 1
    assert ticket.future is ticket.future
    assert len(ticket.request.future().result(0)[0]) == 1
    ticket.cancel()  # changes nothing
    assert ticket.request.error is None
    service.stop(10)


def test_memory_stays_when_requests_are_refused(folder):
    """Clients that ask for more than fits get an answer, and nothing is left of it."""
    service = serve(folder, limits=Limits(bytes_in_flight=1000))
    for _ in range(100):
        with pytest.raises(OverloadedError):
            service.budget.take(1001)
    assert service.budget.used == 0
    with pytest.raises(quern.FileError, match="no folder of models"):
        serve(folder / "nothing")
    assert os.listdir(folder) == ["mlp"]
    service.stop(10)
