"""Tiny experiments on tiny corpora."""

from pathlib import Path

import pytest

from polysemy.recipes.data import corpora

SCRIPT = Path(__file__).with_name("tiny_experiments.py")


@pytest.fixture
def script():
    return SCRIPT


@pytest.fixture(scope="session")
def tiny(load):
    """The module `tiny_experiments`."""
    return load(SCRIPT)


@pytest.fixture(scope="session", autouse=True)
def tiny_corpora(tiny, tmp_path_factory):
    """The corpora "tiny_ner", "tiny_pos" and "tiny_text" are known; the folder of their files."""
    folder = tmp_path_factory.mktemp("corpora")
    known = tiny.register(folder)
    corpora.CORPORA.update(known)
    yield folder
    for name in known:
        del corpora.CORPORA[name]


@pytest.fixture
def rewrite():
    """`rewrite(file, text)`: another content for the time of the test."""
    before = {}

    def write(file, text):
        before.setdefault(file, file.read_text())
        file.write_text(text)

    yield write
    for file, text in before.items():
        file.write_text(text)


@pytest.fixture(scope="session")
def tiny_bert(load, tmp_path_factory):
    """The module `tiny_bert`, its corpora known, and `preset`: a folder with its BERT."""
    module = load(Path(__file__).with_name("tiny_bert.py"))
    folder = tmp_path_factory.mktemp("tiny_bert")
    known = module.register(folder)
    for registry, entries in known:
        registry.update(entries)
    module.make_bert().save_to_preset(folder / "preset")
    setattr(module, "preset", str(folder / "preset"))  # noqa: B010, a type checker minds the other
    yield module
    for registry, entries in known:
        for name in entries:
            del registry[name]
