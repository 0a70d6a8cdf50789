"""The tutorial runs: its cells in order, and the tables of what they show."""
import json
import pathlib

import pytest

NOTEBOOK = pathlib.Path(__file__).parents[2] / "examples/python/quern.ipynb"


def test_notebook(monkeypatch):
    if not NOTEBOOK.exists():
        pytest.skip("there is no repository around the tests")
    monkeypatch.chdir(NOTEBOOK.parent)
    names = {}
    for cell in json.loads(NOTEBOOK.read_text())["cells"]:
        if cell["cell_type"] == "code":
            exec(compile("".join(cell["source"]), str(NOTEBOOK), "exec"), names)
    for shown in ("model", "comparison", "artifact"):
        assert names[shown]._repr_html_().count("<tr>") >= 2
    assert names["explanation"]._repr_html_().startswith("<iframe ")
