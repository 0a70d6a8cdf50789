#!/usr/bin/env python3
"""Loads a server of quern.serving with clients on this machine, beside the bare library.

    bench/serving.py MODEL [--rows N] [--seconds S] [--rounds N] [--protocol rest|grpc]

The model (its first dimension open) is served from a folder of its own by `python -m quern.serving`,
which must be importable with KServe. In turns, for `--seconds` each: the library alone, in a process of its own, as it is fastest (of all
batch sizes; one run on all threads, or one on each); `--clients` that each ask again when they are
answered; and these at half of the rate that they reached, in equal intervals or (--arrivals poisson)
at random moments, for the times of single answers. Printed are rows per second and their ratio, and
the 50th and 99th percentile beside the time of a bare run: of the rows of one request, and of the
best batch. All of it shares this machine's CPUs: the clients' work, too, is taken from the server's.
So three more ratios are printed: of the most rows per second that would be possible if the server
cost nothing but its runs and the clients what they took; of a process that does for each request what
the protocol asks of a server, decoding and encoding, with neither sockets nor clients; and what parts
of the CPUs server, clients and other processes took. A round in which others took more than --quiet
is repeated, up to eight times, and the one that was disturbed least counts.

--overload asks without bounds: clients that ask again at once when they are refused, and as many
that give up after a tenth of a second. It prints how many answers had which status, and how the
server's memory grew. --reload puts new versions of the model into the folder meanwhile: no request
may fail.
"""
import argparse
import asyncio
import json
import os
import pathlib
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

import numpy as np

from shares import Shares

_SIZES = (1, 2, 4, 8, 16, 32, 64)
_BARE = """
import json, os, sys, threading, time
import numpy as np
import quern
sys.path.insert(0, os.path.dirname(sys.argv[5]))
from serving import body_of
from quern.serving import Limits
from quern.serving.protocol import decode_request, encode_response
from quern.serving.rows import random_inputs, row_shapes
path, seconds, ways = sys.argv[1], float(sys.argv[2]), json.loads(sys.argv[3])
coded = int(sys.argv[4])  # rows of a request that is decoded, and answered; 0: arrays
models = {threads: quern.compile(path, threads=threads) for threads in {way[2] for way in ways}}
found = []
for size, instances, threads in ways:
    model, times = models[threads], []
    feed = random_inputs(model.inputs,
                         [(size, *shape) for shape in row_shapes(model.inputs, {})])
    model.run(None, feed)
    requests = max(size // coded, 1) if coded else 0
    if coded:
        body, length = body_of(model.inputs, [array[:coded] for array in feed])
        size = requests * coded
    def run_coded():
        asked = [decode_request(body, str(length), Limits()) for _ in range(requests)]
        given = [np.concatenate([one.inputs[port.name] for one in asked]) for port in model.inputs]
        made = model.run(None, given)
        for i in range(requests):
            outputs = [array[i * coded:(i + 1) * coded] for array in made]
            head, parts = encode_response("model", 1, asked[i], list(zip(model.outputs, outputs)))
            b"".join((head, *parts))
    began = time.perf_counter()
    def run():
        while len(times) < 3 or time.perf_counter() < began + seconds / len(ways):
            at = time.perf_counter()
            if coded:
                run_coded()
            else:
                model.run(None, feed)
            times.append(time.perf_counter() - at)
    runners = [threading.Thread(target=run) for _ in range(instances)]
    for runner in runners: runner.start()
    for runner in runners: runner.join()
    found.append([size * len(times) / (time.perf_counter() - began), sorted(times)[len(times) // 2]])
print(json.dumps(found))
"""


_TRIES = 8
_ROUND = ("bare {bare:.0f} rows/s at {size} rows ({run:.2f} ms), served {rows:.0f} rows/s: {ratio:.3f}, "
          "{possible:.3f} of what is possible beside clients that take {cost:.0f} us a request, "
          "{coded:.3f} of a process that decodes and encodes; p50 {p50:.1f}, p99 {p99:.1f} ms; CPUs: "
          "server {server:.2f}, clients {clients:.2f}, others {others:.2f}; at half load p50 "
          "{half_p50:.2f}, p99 {half_p99:.2f} ms of a bare run's {alone:.2f} + {delay:g} ms: {late:.2f} "
          "times, {late_best:.2f} of the best batch's; statuses {statuses} {half_statuses}")


class RestClient(asyncio.Protocol):
    """One connection, one request at a time, made once: what a client costs is to be little."""

    def __init__(self, content):
        self._content = content
        self._done = None
        self._left, self._head, self._status = 0, b"", 0

    def connection_made(self, transport):
        self._transport = transport

    def connection_lost(self, error):
        if self._done and not self._done.done():
            self._done.set_exception(ConnectionError("closed"))

    def data_received(self, data):
        if self._left == 0:
            self._head += data
            head, found, rest = self._head.partition(b"\r\n\r\n")
            if not found:
                return
            self._status = int(head[9:12])
            length = next(line for line in head.lower().split(b"\r\n")
                          if line.startswith(b"content-length:"))
            self._left, self._head = int(length[15:]) - len(rest), b""
        else:
            self._left -= len(data)
        if self._left == 0 and not self._done.done():
            self._done.set_result(self._status)

    async def ask(self):
        """The status."""
        self._done = asyncio.get_running_loop().create_future()
        self._transport.write(self._content)
        return await self._done

    def close(self):
        self._transport.close()

    @staticmethod
    async def connect(port, content):
        loop = asyncio.get_running_loop()
        return (await loop.create_connection(lambda: RestClient(content), "127.0.0.1", port))[1]


class GrpcClient:
    """tritonclient's."""

    def __init__(self, client, inputs):
        self._client, self._inputs = client, inputs

    async def ask(self):
        from tritonclient.utils import InferenceServerException
        try:
            await self._client.infer("model", self._inputs)
            return 200
        except InferenceServerException as error:
            return error.status()

    def close(self):
        asyncio.ensure_future(self._client.close())

    @staticmethod
    async def connect(port, inputs):
        import tritonclient.grpc.aio as triton
        return GrpcClient(triton.InferenceServerClient(f"127.0.0.1:{port}"), inputs)


class Load:
    """Clients, and what they were answered: statuses and seconds."""

    def __init__(self, connect, clients):
        self._connect, self._clients = connect, clients
        self.statuses, self.times = {}, []

    async def _ask(self, client, began):
        status = await client.ask()
        self.statuses[status] = self.statuses.get(status, 0) + 1
        if status == 200:
            self.times.append(time.perf_counter() - began)
        return status

    async def closed(self, seconds):
        """Each client asks again at once. Answers per second."""
        clients = [await self._connect() for _ in range(self._clients)]
        began = time.perf_counter()

        async def ask_on(client):
            while time.perf_counter() < began + seconds:
                if await self._ask(client, time.perf_counter()) != 200:
                    await asyncio.sleep(0.1)
        await asyncio.gather(*map(ask_on, clients))
        took = time.perf_counter() - began
        for client in clients:
            client.close()
        return len(self.times) / took

    async def open(self, seconds, rate, arrivals):
        """At given moments, whatever has been answered: times count from there."""
        idle = [await self._connect() for _ in range(self._clients)]
        pending = set()
        at = began = time.perf_counter()

        async def ask_once(moment):
            client = idle.pop() if idle else await self._connect()
            await self._ask(client, moment)
            idle.append(client)
        while at < began + seconds:
            at += random.expovariate(rate) if arrivals == "poisson" else 1 / rate
            await asyncio.sleep(max(at - time.perf_counter(), 0))
            task = asyncio.ensure_future(ask_once(at))
            pending.add(task)
            task.add_done_callback(pending.discard)
        await asyncio.gather(*pending)
        for client in idle:
            client.close()

    async def overload(self, seconds):
        """Clients that go away after a tenth of a second, and come again."""
        began = time.perf_counter()

        async def ask_on():
            while time.perf_counter() < began + seconds:
                try:
                    client = await self._connect()
                    await asyncio.wait_for(self._ask(client, time.perf_counter()), 0.1)
                except asyncio.TimeoutError:
                    self.statuses["gone"] = self.statuses.get("gone", 0) + 1
                except OSError as error:
                    name = type(error).__name__
                    self.statuses[name] = self.statuses.get(name, 0) + 1
                client.close()
        patient = [asyncio.ensure_future(self._patient(began + seconds))
                   for _ in range(self._clients)]
        await asyncio.gather(*patient, *(ask_on() for _ in range(self._clients)))

    async def _patient(self, end):
        """Asks again at once, refused or not."""
        client = await self._connect()
        while time.perf_counter() < end:
            await self._ask(client, time.perf_counter())
        client.close()

    def percentile(self, share):
        return sorted(self.times)[int(len(self.times) * share)] if self.times else float("nan")


class Server:
    """`python -m quern.serving` on a model, until it is left; then SIGTERM."""

    def __init__(self, model, options):
        self._folder = tempfile.TemporaryDirectory()
        self.models = pathlib.Path(self._folder.name)
        self.put(model, 1)
        self.http, self.grpc = _free_port(), _free_port()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "quern.serving", "--models", str(self.models), "--host",
             "127.0.0.1", "--http-port", str(self.http), "--grpc-port", str(self.grpc),
             "--poll-seconds", "0.5", *options])

    def put(self, model, version):
        place = self.models / "model" / f".{version}"
        place.mkdir(parents=True)
        shutil.copy(model, place / "model.onnx")
        place.rename(place.with_name(str(version)))

    def __enter__(self):
        while True:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.http)) == 0:
                    return self
            if self._process.poll() is not None:
                raise SystemExit("the server has not started")
            time.sleep(0.1)

    def __exit__(self, *_):
        self._process.send_signal(signal.SIGTERM)
        print(f"SIGTERM: exit code {self._process.wait(60)}")
        self._folder.cleanup()

    @property
    def process(self):
        return self._process.pid

    def resident_mb(self):
        with open(f"/proc/{self._process.pid}/status", encoding="ascii") as file:
            line = next(line for line in file if line.startswith("VmRSS"))
        return int(line.split()[1]) / 1024


def _free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def body_of(ports, arrays):
    """A request's body, and how long the JSON in front of it is."""
    from quern.serving.protocol import bytes_of, datatype_of
    parts = [bytes(bytes_of(array)) for array in arrays]
    head = json.dumps({"parameters": {"binary_data_output": True}, "inputs": [
        {"name": port.name, "datatype": datatype_of(port), "shape": list(array.shape),
         "parameters": {"binary_data_size": len(part)}}
        for port, array, part in zip(ports, arrays, parts)]}).encode()
    return head + b"".join(parts), len(head)


def _content(model, rows):
    """A request as bytes, and as tritonclient's inputs."""
    import quern
    from quern.serving.rows import random_inputs, row_shapes
    ports = quern.load(model).inputs
    arrays = random_inputs(ports, [(rows, *shape) for shape in row_shapes(ports, {})])
    body, length = body_of(ports, arrays)
    return ports, arrays, (
        "POST /v2/models/model/infer HTTP/1.1\r\nHost: localhost\r\n"
        f"Inference-Header-Content-Length: {length}\r\nContent-Length: {len(body)}\r\n\r\n"
    ).encode() + body


def _connector(server, model, rows, protocol):
    from quern.serving.protocol import datatype_of
    ports, arrays, content = _content(model, rows)
    if protocol == "rest":
        return lambda: RestClient.connect(server.http, content)
    import tritonclient.grpc as triton
    inputs = []
    for port, array in zip(ports, arrays):
        inputs.append(triton.InferInput(port.name, array.shape, datatype_of(port)))
        inputs[-1].set_data_from_numpy(array)
    return lambda: GrpcClient.connect(server.grpc, inputs)


def _bare(model, seconds, ways, coded=0):
    """[(rows per second, median seconds of a run)] of [(rows, runs at a time, threads of each)];
    `coded`: the rows of a request, of which runs are put together."""
    return json.loads(subprocess.run(
        [sys.executable, "-c", _BARE, model, str(seconds), json.dumps(ways), str(coded), __file__],
        check=True, capture_output=True, text=True).stdout)


def _run(coroutine):
    try:
        import uvloop
        return uvloop.run(coroutine)
    except ImportError:
        return asyncio.run(coroutine)


def _compare(server, connect, given):
    """In turns: the ratio of rows per second, and times at half of the load."""
    cpus = len(os.sched_getaffinity(0))
    ways = [(size, *way) for size in given.batch_sizes for way in ((1, 0), (cpus, 1))]
    found = _bare(given.model, 2 * given.seconds, ways)
    best = max(zip(found, ways))[1]
    print("bare, rows/s: " + ", ".join(f"{size} rows{' on one thread each' if threads else ''} "
                                       f"{rate:.0f}" for (rate, _), (size, _, threads)
                                       in zip(found, ways)))
    rounds = []
    for _ in range(given.rounds):
        tried = []
        while not tried or tried[-1]["others"] > given.quiet and len(tried) < _TRIES:
            tried.append(_round(server, connect, given, best))
        rounds.append(min(tried, key=lambda one: one["others"]))
        print(_ROUND.format(**rounds[-1]), flush=True)
    print("; ".join(f"{text} {_spread([one[key] for one in rounds])}" for text, key in (
        ("throughput of the bare library's", "ratio"), ("of what is possible beside the clients", "possible"),
        ("of a process that decodes and encodes", "coded"),
        ("p99 at half load by a bare run of a request and the delay", "late"),
        ("by the best batch and the delay", "late_best"))))


def _round(server, connect, given, best):
    cpus = len(os.sched_getaffinity(0))
    # A single answer's run is as the server has it.
    one = (given.rows, 1, given.threads)
    (bare,) = _bare(given.model, given.seconds, [best])
    (coded,) = _bare(given.model, given.seconds, [best], given.rows)
    ((_, alone),) = _bare(given.model, min(given.seconds, 3), [one])
    full, half = Load(connect, given.clients), Load(connect, given.clients)
    shares, cost = Shares(), time.process_time()
    rate = _run(full.closed(given.seconds))
    cost = (time.process_time() - cost) / len(full.times)
    taken = {"server": shares.of(server.process), "clients": shares.of(os.getpid()),
             "others": shares.others(os.getpid())}
    # The server is a child of this process.
    taken["clients"] -= taken["server"]
    shares = Shares()
    _run(half.open(given.seconds, rate / 2, given.arrivals))
    taken["others"] = max(taken["others"], shares.others(os.getpid()))
    rows = rate * given.rows
    delay = given.max_delay_ms / 1e3
    return {**taken, "bare": bare[0], "size": best[0], "run": bare[1] * 1e3, "rows": rows,
            "ratio": rows / bare[0], "possible": rows * (1 / bare[0] + cost / given.rows / cpus),
            "coded": rows / coded[0], "cost": cost * 1e6, "alone": alone * 1e3,
            "delay": given.max_delay_ms, "late": half.percentile(.99) / (alone + delay),
            "late_best": half.percentile(.99) / (bare[1] + delay), "statuses": full.statuses,
            "half_statuses": half.statuses, "p50": full.percentile(.5) * 1e3,
            "p99": full.percentile(.99) * 1e3, "half_p50": half.percentile(.5) * 1e3,
            "half_p99": half.percentile(.99) * 1e3}


def _set_priority(process, priority):
    """Of all its threads; those that it makes have it, too."""
    for thread in os.listdir(f"/proc/{process}/task"):
        os.sched_setscheduler(int(thread), os.SCHED_FIFO, os.sched_param(priority))


def _spread(values):
    return f"{np.median(values):.3f} ({min(values):.3f} to {max(values):.3f})"


def _reload(server, connect, given):
    load = Load(connect, given.clients)

    async def run():
        asked = asyncio.ensure_future(load.closed(given.seconds))
        for version in range(2, given.rounds + 2):
            await asyncio.sleep(given.seconds / (given.rounds + 1))
            server.put(given.model, version)
            shutil.rmtree(server.models / "model" / str(version - 1))
        return await asked
    rate = _run(run())
    print(f"{given.rounds} new versions under load: {rate * given.rows:.0f} rows/s, p99 "
          f"{load.percentile(.99) * 1e3:.1f} ms, statuses {load.statuses}")
    return set(load.statuses) == {200}


def _overload(server, connect, given):
    load, before = Load(connect, given.clients), server.resident_mb()
    peak = before

    async def run():
        nonlocal peak
        asked = asyncio.ensure_future(load.overload(given.seconds))
        while not asked.done():
            await asyncio.sleep(0.5)
            peak = max(peak, server.resident_mb())
        await asked
    _run(run())
    print(f"overload by {2 * given.clients} clients: statuses {load.statuses}; resident "
          f"{before:.0f} MB before, {peak:.0f} at most, {server.resident_mb():.0f} after")


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--rows", type=int, default=1, help="of each request")
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--protocol", choices=["rest", "grpc"], default="rest")
    parser.add_argument("--batch-sizes", type=lambda text: [int(size) for size in text.split(",")],
                        default=_SIZES)
    parser.add_argument("--threads", type=int, default=0, help="of each run of the server's")
    parser.add_argument("--instances", type=int, default=1, help="runs of the server's at a time")
    parser.add_argument("--max-delay-ms", type=float, default=2.0)
    parser.add_argument("--arrivals", choices=["constant", "poisson"], default="constant")
    parser.add_argument("--quiet", type=float, default=0.05, metavar="SHARE",
                        help="of the CPUs that other processes may take in a round")
    parser.add_argument("--realtime", type=int, metavar="PRIORITY",
                        help="past other processes (SCHED_FIFO), the server one higher than the clients")
    parser.add_argument("--reload", action="store_true")
    parser.add_argument("--overload", action="store_true")
    parser.add_argument("--options", default="", help="further ones of the server, in one word")
    given = parser.parse_args()
    options = ["--batch-sizes", ",".join(map(str, given.batch_sizes)), "--max-delay-ms",
               str(given.max_delay_ms), "--threads", str(given.threads), "--instances",
               str(given.instances), *given.options.split()]
    if given.realtime:
        _set_priority(os.getpid(), given.realtime)
    with Server(given.model, options) as server:
        if given.realtime:
            _set_priority(server.process, given.realtime + 1)
        connect = _connector(server, given.model, given.rows, given.protocol)
        if given.reload and not _reload(server, connect, given):
            return 1
        if given.overload:
            _overload(server, connect, given)
        if not given.reload and not given.overload:
            _compare(server, connect, given)
    return 0


if __name__ == "__main__":
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    sys.exit(main())
