#!/usr/bin/env python3
"""Spark, Ray Data and Dask score a table of Parquet on one worker and on two, in turns.

For each engine and model: the time from Parquet to Parquet on one worker and on two, of one thread
and one CPU each, with the engine started and the model compiled before, how many times as fast two
are, and whether the results have the bits of one process that runs the whole files. A run is repeated
when other processes take more than --quiet of its workers' CPUs; the last column is the most that they
took of a run that counts.

On a busy machine: chrt -r 40 bench/tables.py ... Not chrt -f: of Ray's processes on one CPU, which
look for each other again and again, one may never let go of it.

Needs quern, pyspark (and Java), ray, dask, pyarrow, pandas, scikit-learn and skl2onnx.

  bench/tables.py FOLDER [--rows 1000000] [--rounds 3] [--quiet 0.05] [--engine spark] [--model mlp]
"""
import argparse
import os
import pathlib
import statistics
import subprocess
import sys
import time

os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
import numpy as np
import onnx
import pyarrow
from onnx import TensorProto, helper, numpy_helper
from pyarrow import parquet

import quern
from shares import Shares

FILES = 20
FEATURES = 32
COLUMNS = [f"f{i}" for i in range(FEATURES)]


#===-----------------------------------------------------------------------===#
# Models and table
#===-----------------------------------------------------------------------===#


def mlp():
    random = np.random.default_rng(0)
    sizes, nodes, weights, last = (FEATURES, 512, 512, 1), [], [], "x"
    for i, (rows, columns) in enumerate(zip(sizes, sizes[1:])):
        scale = (2 / rows) ** 0.5
        weights += [numpy_helper.from_array((random.normal(size=(rows, columns)) * scale).astype("f4"), f"w{i}"),
                    numpy_helper.from_array(random.normal(size=columns).astype("f4"), f"b{i}")]
        nodes.append(helper.make_node("Gemm", [last, f"w{i}", f"b{i}"], [f"g{i}"]))
        last = f"g{i}"
        if i < len(sizes) - 2:
            nodes.append(helper.make_node("Relu", [last], [f"r{i}"]))
            last = f"r{i}"
    nodes[-1].output[0] = "score"
    graph = helper.make_graph(nodes, "mlp", [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", FEATURES])],
                              [helper.make_tensor_value_info("score", TensorProto.FLOAT, ["N", 1])], weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def forest():
    from skl2onnx import to_onnx
    from sklearn.ensemble import RandomForestRegressor

    random = np.random.default_rng(0)
    x = random.normal(size=(4000, FEATURES)).astype("f4")
    y = np.sin(x[:, 0]) + x[:, 1] * x[:, 2] + random.normal(size=len(x)) * 0.1
    trees = RandomForestRegressor(200, max_depth=12, n_jobs=2, random_state=0).fit(x, y)
    model = to_onnx(trees, x[:1])
    model.graph.output[0].name = model.graph.node[-1].output[0] = "score"
    return model


def prepare(folder, rows):
    (folder / "in").mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(1)
    for i in range(FILES):
        path = folder / f"in/{i:02}.parquet"
        size = rows // FILES
        if path.exists() and parquet.read_metadata(path).num_rows == size:
            continue
        columns = {name: random.normal(size=size).astype("f4") for name in COLUMNS}
        parquet.write_table(pyarrow.table({"id": np.arange(size) + i * size, **columns}), path,
                            row_group_size=10_000, compression="none")
    for name, make in (("mlp", mlp), ("forest", forest)):
        if not (folder / f"{name}.onnx").exists():
            onnx.save(make(), folder / f"{name}.onnx")


#===-----------------------------------------------------------------------===#
# Engines: each gives a function that scores all
#===-----------------------------------------------------------------------===#


def predictor_of(model):
    return quern.Predictor(model, columns=COLUMNS, threads=1)


def on_spark(workers, source, model, target):
    from pyspark.sql import SparkSession

    session = (SparkSession.builder.master(f"local[{workers}]").config("spark.ui.enabled", "false")
               .config("spark.driver.memory", "1g").config("spark.driver.host", "127.0.0.1")
               .config("spark.driver.bindAddress", "127.0.0.1")
               .config("spark.sql.files.maxPartitionBytes", 8 << 20).getOrCreate())
    session.sparkContext.setLogLevel("OFF")

    def score():
        frame = predictor_of(model)(session.read.parquet(source))
        frame.drop(*COLUMNS).write.mode("overwrite").parquet(target)
    return score


def on_ray(workers, source, model, target):
    import ray

    # Workers would stand back for all other processes of the machine.
    os.environ["RAY_worker_niceness"] = "0"
    # Tasks that read and write have slots of their own, beside those that score.
    ray.init(num_cpus=2 * workers, include_dashboard=False, logging_level="ERROR",
             log_to_driver=False)
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    # Of blocks as they come, all files are two: 310,000 and 690,000 rows.
    context.target_max_block_size = 8 << 20
    predictor = predictor_of(model)

    def score():
        # Tasks, whose processes stay from run to run; those of actors are started in each.
        made = ray.data.read_parquet(source).map_batches(
            predictor, batch_format="pyarrow", batch_size=10_000,
            compute=ray.data.TaskPoolStrategy(size=workers))
        made.drop_columns(COLUMNS).write_parquet(target, mode="overwrite")
    return score


def on_dask(workers, source, model, target):
    import dask
    import dask.dataframe
    import pandas

    predictor = predictor_of(model)
    empty = pandas.DataFrame({"id": np.zeros(1, "i8"), **{name: np.zeros(1, "f4") for name in COLUMNS}})
    # Processes that stay from run to run.
    from concurrent.futures import ProcessPoolExecutor
    import multiprocessing
    pool = ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"))

    def score():
        frame = dask.dataframe.read_parquet(source, split_row_groups=False)
        made = frame.map_partitions(predictor, meta=predictor(empty)).drop(columns=COLUMNS)
        # Not fused, a file is six tasks, whose tables go to this process and back; and tasks are dealt
        # out by the half dozen, which gives one of two workers 12 of 20 files.
        written = made.to_parquet(target, overwrite=True, compute=False).optimize()
        with dask.config.set(scheduler="processes", pool=pool, num_workers=workers, chunksize=1):
            dask.compute(written)
    return score


ENGINES = {"spark": on_spark, "ray": on_ray, "dask": on_dask}


#===-----------------------------------------------------------------------===#
# Turns
#===-----------------------------------------------------------------------===#


def work(engine, workers, folder, model):
    """A child: says how long each run takes that a line asks for."""
    os.sched_setaffinity(0, cpus_of(workers))
    score = ENGINES[engine](workers, str(folder / "in"), str(folder / f"{model}.onnx"),
                            str(folder / f"{engine}{workers}"))
    score()
    print("ready", file=sys.stderr)
    for line in sys.stdin:
        begin = time.perf_counter()
        score()
        print(f"took {time.perf_counter() - begin}", file=sys.stderr, flush=True)
    sys.exit()


class Child:
    def __init__(self, *arguments):
        # Spark prints what it likes to standard output; answers are lines of the other.
        self.process = subprocess.Popen(
            [sys.executable, __file__, *map(str, arguments)], stdin=subprocess.PIPE, text=True,
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        self.answer("ready")

    def answer(self, word):
        lines = []
        for line in self.process.stderr:
            if line.startswith(word):
                return line.split()[1:]
            lines.append(line)
        raise SystemExit("".join(lines[-30:]))

    def run(self):
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return float(self.answer("took")[0])

    def end(self):
        self.process.stdin.close()
        self.process.wait()


def scores_of(folder):
    """By row, from whatever files an engine has written."""
    table = pyarrow.concat_tables([parquet.read_table(path).select(["id", "score"])
                                   for path in sorted(folder.glob("*.parquet"))])
    return table.sort_by("id").column("score").to_numpy()


def cpus_of(workers):
    return sorted(os.sched_getaffinity(0))[:workers]


def quiet_run(child, cpus, given):
    """(seconds, the share of the CPUs that others took): of the first run that was left alone, or
    else of the one that was disturbed least."""
    found = []
    for _ in range(given.tries):
        shares = Shares(cpus)
        taken = child.run()
        found.append((shares.others(child.process.pid), taken))
        if found[-1][0] <= given.quiet:
            break
    return min(found)[::-1]


def measure(engine, model, folder, given):
    children = {workers: Child(folder, "--child", engine, workers, model) for workers in (1, 2)}
    times, most = {workers: [] for workers in children}, 0.0
    for _ in range(given.rounds):
        for workers, child in children.items():
            taken, others = quiet_run(child, cpus_of(workers), given)
            times[workers].append(taken)
            most = max(most, others)
    for child in children.values():
        child.end()
    predictor = predictor_of(str(folder / f"{model}.onnx"))
    alone = np.concatenate([predictor(parquet.read_table(path)).column("score").to_numpy()
                            for path in sorted((folder / "in").glob("*.parquet"))])
    found = [scores_of(folder / f"{engine}{workers}") for workers in (1, 2)]
    is_same = all(len(scores) == len(alone) and (scores == alone).all() for scores in found)
    ratios = sorted(one / two for one, two in zip(times[1], times[2]))
    one, two = (statistics.median(times[workers]) for workers in (1, 2))
    print(f"| {engine} | {model} | {one:.2f} s | {two:.2f} s | {statistics.median(ratios):.2f} "
          f"({ratios[0]:.2f} to {ratios[-1]:.2f}) | {'same' if is_same else 'others'} | "
          f"{most:.2f} |", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--quiet", type=float, default=0.05)
    parser.add_argument("--tries", type=int, default=6, help="of a run that is disturbed")
    parser.add_argument("--engine", action="append", choices=ENGINES)
    parser.add_argument("--model", action="append", choices=("mlp", "forest"))
    parser.add_argument("--child", nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    folder = arguments.folder.resolve()
    if arguments.child:
        engine, workers, model = arguments.child
        work(engine, int(workers), folder, model)
    prepare(folder, arguments.rows)
    print("| engine | model | one worker | two | times as fast | bits | others |\n"
          "|---|---|---|---|---|---|---|", flush=True)
    for engine in arguments.engine or ENGINES:
        for model in arguments.model or ("mlp", "forest"):
            measure(engine, model, folder, arguments)


if __name__ == "__main__":
    main()
