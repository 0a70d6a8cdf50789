"""What table.py and tflite_table.py share: a run of quern, how far tensors are apart, rows of tables."""

import json
import os
import pathlib
import subprocess
import tempfile
import time

import numpy as np

ROOT = pathlib.Path(__file__).resolve().parents[2]
RTOL, ATOL = 1e-3, 1e-4


def difference(found, wanted, allowed):
    """The largest relative difference, and a reason when it is too large. `allowed` is an absolute
    difference that is fine for a model in lower precision, or None."""
    if found.shape != wanted.shape:
        return np.inf, f"shape {found.shape}, wanted {wanted.shape}"
    if wanted.dtype.kind in "US":
        return 0, "" if (found.astype(str) == wanted).all() else "strings differ"
    if wanted.dtype.kind in "iub":
        same = (found == wanted).all() or allowed is not None
        return 0, "" if same else f"{(found != wanted).sum()} of {wanted.size} values differ"
    found, wanted = found.astype(np.float64), wanted.astype(np.float64)
    if (np.isnan(found) != np.isnan(wanted)).any():
        return np.inf, "NaN differs"
    finite = np.isfinite(wanted)
    if (found[~finite & ~np.isnan(wanted)] != wanted[~finite & ~np.isnan(wanted)]).any():
        return np.inf, "infinities differ"
    found, wanted = found[finite], wanted[finite]
    error = np.abs(found - wanted)
    scale = np.abs(wanted).max(initial=0)
    worst = error.max(initial=0)
    close = (
        worst <= max(allowed, ATOL) if allowed is not None else (error <= ATOL + RTOL * np.abs(wanted)).all()
    )
    reason = "" if close else f"differs by {worst:.3g} of {scale:.3g}"
    return worst / scale if scale else worst, reason


def run_measured(command, timeout):
    """The finished process and its peak resident bytes."""
    with tempfile.TemporaryFile("w+") as errors:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=errors
        )
        end = time.monotonic() + timeout
        while True:
            pid, status, usage = os.wait4(process.pid, os.WNOHANG)
            if pid:
                break
            if time.monotonic() > end:
                process.kill()
                os.wait4(process.pid, 0)
                process.returncode = -9
                raise subprocess.TimeoutExpired(command, timeout)
            time.sleep(0.01)
        process.returncode = os.waitstatus_to_exitcode(status)
        errors.seek(0)
        done = subprocess.CompletedProcess(command, process.returncode, "", errors.read())
        return done, usage.ru_maxrss * 1024


def run_quern(quern, model, inputs, output, options, timeout):
    """(reason of a failure, seconds to the first run, peak bytes); results are in `output`."""
    with tempfile.TemporaryDirectory() as folder:
        report = pathlib.Path(folder) / "report.json"
        command = [quern, "run", model, "--input", inputs, "--output", output, "-q", f"--json={report}", *options]
        try:
            done, peak = run_measured(command, timeout)
        except subprocess.TimeoutExpired:
            return f"takes more than {timeout} s", timeout, 0
        if done.returncode:
            return f"exit code {done.returncode}: {done.stderr.strip()[-300:]}", 0, peak
        facts = json.loads(report.read_text())
        return "", (facts["load_ms"] + facts["compile_ms"]) / 1000, peak


def reference_steps(quern, model, shapes):
    """How many steps of the model run on reference kernels, and why that is not known."""
    done = subprocess.run(
        [quern, "check", model, "--json", "-q", *shapes],
        text=True,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=600,
    )
    if done.returncode:
        return "?", done.stderr.strip()[-300:]
    report = json.loads(done.stdout)
    steps = report["reference_steps"]
    kinds = {}
    for step in steps:
        kinds[step["kernel"]] = kinds.get(step["kernel"], 0) + 1
    text = ", ".join(f"{count} {kernel.removeprefix('nn.')}" for kernel, count in sorted(kinds.items()))
    return f"{text or '0'} of {report['steps']}", ""


def read_rows(path):
    """The rows that a table has, by model: those that are not measured again stay."""
    lines = path.read_text().splitlines(keepends=True) if path.exists() else []
    first = next((i for i, line in enumerate(lines) if line.startswith("|---")), len(lines))
    return {line.split("|")[1].strip(): line for line in lines[first + 1 :] if line.startswith("|")}
