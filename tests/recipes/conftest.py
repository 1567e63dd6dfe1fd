"""The toy task, for the tests of this folder and for the processes that they start."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).with_name("toy_task.py")


@pytest.fixture(scope="session")
def load():
    """`load(path)`: a file beside the tests as a module, known by its name from then on."""

    def load(path):
        spec = importlib.util.spec_from_file_location(path.stem, path)
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[path.stem] = module
        spec.loader.exec_module(module)
        return module

    return load


@pytest.fixture(scope="session")
def toy_task(load):
    """The module `toy_task`."""
    return load(SCRIPT)


@pytest.fixture
def script():
    """What `start` runs."""
    return SCRIPT


@pytest.fixture
def start(script):
    """Starts a training process: `start(out, *overrides, **environment)`."""

    processes = []

    def start(out, *overrides, **environment):
        process = subprocess.Popen(
            [sys.executable, str(script), str(out), *overrides],
            env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "2", **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        processes.append(process)
        return process

    yield start
    for process in processes:  # where a test has failed, some still run
        process.kill()
        process.communicate()
