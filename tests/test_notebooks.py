"""The notebooks run from top to bottom, with fewer epochs."""

import json
from pathlib import Path
from typing import Any

import pytest

NOTEBOOKS = sorted((Path(__file__).parents[1] / "colab").glob("*.ipynb"))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_runs(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {"__name__": "notebook"}
    for number, cell in enumerate(json.loads(path.read_text(encoding="utf-8"))["cells"]):
        source = "".join(cell["source"])
        if cell["cell_type"] != "code" or source.startswith("%pip"):
            continue
        source = source.replace("EPOCHS = 15", "EPOCHS = 1")
        exec(compile(source, f"{path.name}[{number}]", "exec"), names)
    assert names["layers"].shape[1] == 3
    assert names["answer"]["elmo"].shape == (1, 4, 192)
    # Without the sentence, all four are the same word; with it, the senses part.
    first, last = names["similarity"](names["bank"][:, 0]), names["similarity"](names["bank"][:, 2])
    assert first.min() > 0.999 and last.min() < 0.99
