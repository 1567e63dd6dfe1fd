"""Runs every `>>>` of every module, imported by its installed name.

pytest's own `--doctest-modules` names modules by their folder and so would import
`layers.scalar_mix` beside `polysemy.layers.scalar_mix`.
"""

import doctest
import importlib
import re
from pathlib import Path

import pytest

import polysemy

ROOT = Path(polysemy.__file__).parent
FOLDERS = ("layers", "zoo", "recipes", "serving", "cli")
FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


def module_names() -> list[str]:
    """Names the package's modules: `polysemy`, `polysemy.cli`, `polysemy.layers.crf`, …"""
    paths = [ROOT / "__init__.py"]
    for folder in FOLDERS:
        paths += sorted((ROOT / folder).rglob("*.py"))
    names = (
        ".".join(("polysemy", *path.relative_to(ROOT).with_suffix("").parts)) for path in paths
    )
    return [name.removesuffix(".__init__") for name in names]


def run_examples(module) -> list[str]:
    """Runs the module's examples. Returns one report for each failure."""
    reports: list[str] = []
    finder = doctest.DocTestFinder(exclude_empty=True)
    runner = doctest.DocTestRunner(optionflags=FLAGS, verbose=False)
    for test in finder.find(module, module.__name__):
        skipped = [example for example in test.examples if doctest.SKIP in example.options]
        if skipped:
            reports.append(f"{test.name}: an example must not be skipped.")
        runner.run(test, out=reports.append, clear_globs=False)
    return reports


@pytest.mark.parametrize("name", module_names())
def test_examples_run(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # an example may write files
    reports = run_examples(importlib.import_module(name))
    assert not reports, "\n".join(reports)


def test_a_wrong_example_is_reported():
    module = type(polysemy)("wrong")
    module.__doc__ = ">>> 1 + 1\n3\n"
    (report,) = run_examples(module)
    assert re.search(r"Expected:\s+3\s+Got:\s+2", report)


def test_a_skipped_example_is_reported():
    module = type(polysemy)("skipped")
    module.__doc__ = ">>> 1 + 1  # doctest: +SKIP\n3\n"
    assert run_examples(module) == ["skipped: an example must not be skipped."]
