"""BERTs small enough for tests, with weights by a formula, so that other programs can have them."""

import numpy as np
import pytest

from polysemy import zoo
from polysemy.zoo.bert.backbone import Bert

LETTERS = "abcdefghijklmnopqrstuvwxyz"
VOCABULARY = [
    *("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"),
    *(
        "the",
        "cat",
        "sat",
        "on",
        "mat",
        "##s",
        "##ting",
        ".",
        ",",
        "?",
        "who",
        "un",
        "##aff",
        "##able",
    ),
    *LETTERS,
    *(f"##{letter}" for letter in LETTERS if letter != "s"),
]
SMALL = {
    "num_layers": 2,
    "num_heads": 2,
    "hidden_dim": 8,
    "intermediate_dim": 20,
    "max_length": 40,
    "dropout": 0.0,
    "attention_dropout": 0.0,
}


def fill(model):
    """Gives each weight values by a formula of its path's place, each unlike its neighbor's."""
    for i, variable in enumerate(sorted(model.weights, key=lambda v: v.path)):
        angles = np.arange(np.prod(variable.shape), dtype="float64") * 1.3 + i
        values = np.sin(angles * (1 + 0.01 * i)).reshape(variable.shape)
        base = 1.0 if variable.path.endswith("gamma") else 0.0
        variable.assign((base + 0.4 * values).astype("float32"))
    return model


@pytest.fixture
def fill_weights():
    return fill


@pytest.fixture
def vocabulary():
    return list(VOCABULARY)


@pytest.fixture
def make_bert():
    """Makes a small `Bert`: `make_bert(**arguments)`."""

    def make(**arguments):
        return fill(Bert(**{"vocabulary": list(VOCABULARY), **SMALL, **arguments}))

    return make


@pytest.fixture
def pretrainer(make_bert, fill_weights):
    return fill_weights(zoo.BertPretrainer(make_bert(activation="gelu_tanh")))


@pytest.fixture
def folder(pretrainer, tmp_path):
    """A Hugging Face folder of the pre-trained model."""
    pretrainer.save_as_huggingface(tmp_path / "hf")
    return tmp_path / "hf"
