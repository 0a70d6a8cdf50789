#!/usr/bin/python3
"""Proves that quern compare --per-node finds wrong code: plants errors in steps of models.

    tests/mutants/plant.py MODEL... [--places 20] [--seed 1] [--reduce 3] [--options=-O2]

For each model as many steps as --places are drawn among those with native code. In each an element
of the result is changed ($QUERN_PLANT_ERROR, see CONTRIBUTING.md); compare --per-node must end with
5 and name a node of that step first. With --reduce the first so many errors are then planted by the
node's name, and compare --reduce must come to a model of three nodes at most, which shows it.
NAME.in.npz beside NAME.onnx is its input. Exit code 1 when something was not found.
"""
import argparse
import json
import os
import pathlib
import random
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
QUERN = os.environ.get("QUERN", str(ROOT / "build/release/bin/quern"))
MISMATCH, MOST_NODES = 5, 3


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+", type=pathlib.Path, metavar="MODEL")
    parser.add_argument("--places", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--reduce", type=int, default=0, metavar="COUNT")
    parser.add_argument("--options", default="", help="of compiling, as of quern compare")
    return parser.parse_args()


# Kernels are right: runs share them.
CACHE = tempfile.TemporaryDirectory()


def quern(*arguments, plant=None):
    environment = {**os.environ, "QUERN_CACHE_DIR": CACHE.name, "QUERN_KERNEL_CACHE": ""}
    if plant is not None:
        environment["QUERN_PLANT_ERROR"] = str(plant)
    return subprocess.run([QUERN, *map(str, arguments)], env=environment, text=True,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE)


def given(model, options):
    inputs = model.with_suffix(".in.npz")
    return [model, *(["--input", inputs] if inputs.exists() else []), *options.split()]


def native_steps(model, options):
    """The numbers of the steps with native code, and the nodes of each, as profiles have them."""
    done = quern("bench", *given(model, options), "--profile", "--runs=1", "--json")
    if done.returncode != 0:
        sys.exit(f"{model}: {done.stderr}")
    return {number: row["nodes"] for number, row in enumerate(json.loads(done.stdout)["steps"])
            if row["native"] and row["depth"] == 0 and not row["nodes"].startswith("output ")}


def find(model, options, number, nodes):
    """Whether the step is named; the name that was."""
    done = quern("compare", *given(model, options), "--per-node", "--json", "-q", plant=number)
    if done.returncode != MISMATCH:
        return False, f"exit code {done.returncode} {done.stderr.strip()[-200:]}"
    report = json.loads(done.stdout)
    first = next(node for node in report["nodes"] if not node["pass"])
    found = report["fault"] == "code" and report["first"] in nodes.split("+")
    return found or set(first["nodes"]) >= set(nodes.split("+")), report["first"]


def reduce(model, options, node):
    """The number of nodes that are left, and the model's trials; None where it is not shown."""
    with tempfile.TemporaryDirectory() as folder:
        small = pathlib.Path(folder) / "small.onnx"
        done = quern("compare", *given(model, options), "--reduce", "-o", small, "--json", "-q",
                     plant=node)
        if done.returncode != 0:
            return None, done.stderr.strip()
        report = json.loads(done.stdout)
        again = quern(*report["command"].split()[1:], "-q", plant=node)
        return (len(report["nodes"]) if again.returncode == MISMATCH else None,
                f"{report['trials']} trials")


def main():
    arguments = parse_arguments()
    draw, missed = random.Random(arguments.seed), 0
    for model in arguments.models:
        steps = native_steps(model, arguments.options)
        places = draw.sample(sorted(steps), min(arguments.places, len(steps)))
        named = []
        for number in places:
            found, name = find(model, arguments.options, number, steps[number])
            named.append(name if found else None)
            if not found:
                print(f"{model.name}: step {number} ({steps[number]}) was not found: {name}")
        count = sum(name is not None for name in named)
        print(f"{model.name}: {count} of {len(places)} errors named", flush=True)
        missed += len(places) - count
        for name in [name for name in named if name][:arguments.reduce]:
            start = time.monotonic()
            nodes, says = reduce(model, arguments.options, name)
            print(f"{model.name}: '{name}' reduced to {nodes} nodes, {says}, "
                  f"{time.monotonic() - start:.0f} s", flush=True)
            missed += nodes is None or nodes > MOST_NODES
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
