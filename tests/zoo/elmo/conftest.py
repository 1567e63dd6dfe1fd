"""A biLM small enough for tests, with weights that reach every branch."""

import numpy as np
import pytest

from polysemy.zoo.elmo.backbone import Elmo

SMALL = {
    "filters": [[1, 3], [2, 5], [4, 6]],
    "num_highway_layers": 2,
    "character_embedding_dim": 4,
    "hidden_dim": 12,
    "projection_dim": 5,
    "num_layers": 2,
}


def scramble(model, seed=7):
    """Gives every trainable weight a value that is neither zero nor the same as its neighbor's."""
    generator = np.random.default_rng(seed)
    for variable in model.trainable_weights:
        variable.assign(generator.normal(scale=0.6, size=variable.shape).astype("float32"))
    return model


@pytest.fixture
def small_config():
    return dict(SMALL)


@pytest.fixture
def make_elmo():
    """Makes a small `Elmo`: `make_elmo(**arguments)`."""
    return lambda **arguments: scramble(Elmo(**{**SMALL, **arguments}))
