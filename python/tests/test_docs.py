"""The programs in the documentation run."""
import importlib.util
import pathlib
import re
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
PROGRAMS = [(page.name, number, text)
            for page in sorted((ROOT / "docs").glob("*.md"))
            for number, text in enumerate(re.findall(r"^```python\n(.*?)^```$", page.read_text(
                encoding="utf-8"), re.M | re.S))]
# What a program may be about; it is skipped where they are not installed.
FRAMEWORKS = {"keras", "tensorflow", "torch", "jax", "jax2onnx"}


def test_there_are_some():
    assert {page for page, _, _ in PROGRAMS} >= {"keras.md", "migrating.md", "slow.md"}


@pytest.mark.parametrize("page, number, text", PROGRAMS)
def test_program(page, number, text, monkeypatch):
    monkeypatch.chdir(ROOT)
    found = set(re.findall(r"^(?:import|from) (\w+)", text, re.M)) & FRAMEWORKS
    for name in found:
        if importlib.util.find_spec(name) is None:
            pytest.skip(f"needs {name}: pip install {name}")
    if found:  # alone: not all get along in one process
        subprocess.run([sys.executable, "-c", text], check=True, timeout=250)
    else:
        exec(compile(text, f"{page}:{number}", "exec"), {"__name__": "__main__"})
