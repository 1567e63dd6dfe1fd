"""Tiny experiments on tiny corpora."""

import importlib.util
import sys
from pathlib import Path

import pytest

from polysemy.recipes.data import corpora

SCRIPT = Path(__file__).with_name("tiny_experiments.py")


@pytest.fixture
def script():
    return SCRIPT


@pytest.fixture(scope="session")
def tiny():
    """The module `tiny_experiments`."""
    spec = importlib.util.spec_from_file_location("tiny_experiments", SCRIPT)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["tiny_experiments"] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session", autouse=True)
def tiny_corpora(tiny, tmp_path_factory):
    """The corpora "tiny_ner", "tiny_pos" and "tiny_text" are known; the folder of their files."""
    folder = tmp_path_factory.mktemp("corpora")
    known = tiny.register(folder)
    corpora.CORPORA.update(known)
    yield folder
    for name in known:
        del corpora.CORPORA[name]
