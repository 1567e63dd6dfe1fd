"""Options of the suite, and the quietness it needs."""

import gc
import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # before the first import of TensorFlow
os.environ.setdefault("MPLBACKEND", "Agg")  # figures are files; there may be no display

import keras
import pytest

gc.freeze()  # half a million objects of the imports, which every collection would look through

OPT_IN = {
    "presets": "downloads or loads full-size published weights",
    "gpu": "needs a GPU",
}


def pytest_addoption(parser):
    for marker, what in OPT_IN.items():
        parser.addoption(
            f"--{marker}", action="store_true", help=f"Also run the tests whose mark says: {what}."
        )


def pytest_collection_modifyitems(config, items):
    """Takes unrequested opt-in tests out of the run, so that they do not show as skipped."""
    unrequested = {marker for marker in OPT_IN if not config.getoption(f"--{marker}")}
    kept, left_out = [], []
    for item in items:
        marks = {mark.name for mark in item.iter_markers()}
        (left_out if marks & unrequested else kept).append(item)
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = kept


@pytest.fixture(autouse=True)
def fixed_seed():
    """Seeds Python, numpy and the backend before each test."""
    keras.utils.set_random_seed(20_181)
