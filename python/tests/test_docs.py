"""The programs in the documentation run."""
import pathlib
import re

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
    try:
        exec(compile(text, f"{page}:{number}", "exec"), {"__name__": "__main__"})
    except ModuleNotFoundError as error:
        if error.name.partition(".")[0] not in FRAMEWORKS:
            raise
        pytest.skip(f"needs {error.name}")
