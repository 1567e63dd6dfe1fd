"""Writes recorded.json: what `transformers` computes for the tests' formula-made weights.

Run by hand, with PyTorch and transformers installed: `python tests/zoo/bert/record.py`.
"""

import importlib.util
import json
import tempfile
from pathlib import Path

import numpy as np

from polysemy import zoo
from polysemy.zoo.bert.backbone import Bert

HERE = Path(__file__).parent


def load(name):
    spec = importlib.util.spec_from_file_location(name, HERE / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def main():
    conftest, tests = load("conftest"), load("test_published")
    recorded = {}
    for activation in ("gelu", "gelu_tanh"):
        bert = Bert(conftest.VOCABULARY, activation=activation, **conftest.SMALL)
        model = conftest.fill(zoo.BertPretrainer(bert))
        with tempfile.TemporaryDirectory() as folder:
            model.save_as_huggingface(folder)
            numbers = tests.theirs(folder, tests.numpy_inputs(model))
        recorded[activation] = {k: np.round(x, 6).tolist() for k, x in numbers.items()}
    tests.RECORDED.write_text(json.dumps(recorded) + "\n")


if __name__ == "__main__":
    main()
