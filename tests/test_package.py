"""The rules of the house: who imports whom, how long a file is, what is registered."""

import ast
import importlib
import importlib.metadata
import inspect
import re
import subprocess
import sys
from pathlib import Path

import keras
import pytest

import polysemy

ROOT = Path(polysemy.__file__).parent
ALLOWED = {  # folder: the folders of Polysemy that it may import
    "layers": {"layers"},
    "zoo": {"layers", "zoo"},
    "recipes": {"layers", "zoo", "recipes", "serving"},
    "serving": {"serving"},
    "cli": {"layers", "zoo", "recipes", "serving", "cli"},
}
# `keras.ops` has no unique, and nothing that TensorFlow makes one operation of a layer norm of:
# where TensorFlow is the backend these take its own, imported when a layer is called.
# tests/layers/test_jax.py runs the layers where TensorFlow cannot be imported.
MAY_IMPORT_TENSORFLOW = {
    "layers/distinct_rows.py",
    "layers/initializers.py",
    "layers/table_initializer.py",
    "layers/unit_variance.py",
}
LONGEST = 350  # lines of a file
SOURCES = sorted(path for folder in ALLOWED for path in (ROOT / folder).rglob("*.py"))


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def imported_modules(source: str, module: tuple[str, ...], is_package: bool) -> set[str]:
    """Names the modules that `source` imports, relative ones made absolute.

    Args:
        source: str. The text of the file.
        module: tuple of str. The file's module, such as `("polysemy", "zoo", "backbone")`.
        is_package: bool. Whether the file is an `__init__.py`.
    """
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = () if node.level == 0 else module[: len(module) - node.level + is_package]
            stem = ".".join([*base, *([node.module] if node.module else [])])
            # `from ..zoo import elmo` may name a module as well as an object: both are reported.
            found |= {stem} | {f"{stem}.{alias.name}" for alias in node.names}
    return found


def imports_of(path: Path) -> set[str]:
    parts = ("polysemy", *path.relative_to(ROOT).with_suffix("").parts)
    is_package = parts[-1] == "__init__"
    return imported_modules(path.read_text(), parts[: -1 if is_package else None], is_package)


def broken_rules(path: Path) -> list[str]:
    """Says which imports of a file in one of the folders point the wrong way."""
    folder = path.relative_to(ROOT).parts[0]
    wrong = []
    for name in imports_of(path):
        parts = name.split(".")
        allowed = folder != "layers" or name_of(path) in MAY_IMPORT_TENSORFLOW
        if parts[0] == "tensorflow" and not allowed:
            wrong.append(f"{name_of(path)} imports {name}; layers are backend-neutral")
        if parts[0] == "polysemy" and len(parts) > 1 and parts[1] in ALLOWED:
            if parts[1] not in ALLOWED[folder]:
                wrong.append(f"{name_of(path)} imports {name}")
    return wrong


def test_sources_are_found():
    assert {path.relative_to(ROOT).parts[0] for path in SOURCES} == set(ALLOWED)


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_imports_run_one_way(path):
    assert not broken_rules(path)


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_siblings_are_imported_relatively(path):
    absolute = {
        name
        for node in ast.walk(ast.parse(path.read_text()))
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
            if isinstance(node, ast.ImportFrom) and node.level == 0
            else []
        )
        if name.split(".")[0] == "polysemy"
    }
    assert not absolute


@pytest.mark.parametrize(
    "source, expected",
    [
        ("import polysemy.zoo.elmo", "polysemy.zoo.elmo"),
        ("from ..recipes import run", "polysemy.recipes.run"),
        ("from ...layers.crf import CRF", "layers.crf"),
        ("def f():\n    from ..serving import export", "polysemy.serving.export"),
    ],
)
def test_imports_are_seen(source, expected):
    module = ("polysemy", "zoo", "backbone")
    assert expected in imported_modules(source, module, is_package=False)


@pytest.mark.parametrize(
    "path",
    [*SOURCES, *sorted((ROOT / "tests").rglob("*.py")), *sorted(ROOT.glob("*.py"))],
    ids=name_of,
)
def test_files_are_short(path):
    lines = len(path.read_text().splitlines())
    assert lines <= LONGEST, f"{name_of(path)} has {lines} lines"


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_every_folder_is_a_package(path):
    """A folder without `__init__.py` works from the source tree and is missing from the wheel."""
    assert (path.parent / "__init__.py").exists()


def public_classes(pattern: str) -> list[type]:
    """Lists the classes that Keras would have to find again when it loads a model."""
    classes = []
    for path in sorted(ROOT.glob(pattern)):
        parts = ("polysemy", *path.relative_to(ROOT).with_suffix("").parts)
        module = importlib.import_module(".".join(parts).removesuffix(".__init__"))
        classes += [
            member
            for name, member in inspect.getmembers(module, inspect.isclass)
            if member.__module__ == module.__name__
            and not name.startswith("_")
            and callable(getattr(member, "get_config", None))
        ]
    return classes


# The files of zoo/ itself hold base classes, of which no model is; models lie one folder down.
@pytest.mark.parametrize("pattern", ["layers/**/*.py", "zoo/*/**/*.py"])
def test_classes_are_registered(pattern):
    classes = public_classes(pattern)
    assert classes
    unregistered = [
        f"{member.__module__}.{member.__name__}"
        for member in classes
        if not keras.saving.get_registered_name(member).startswith("polysemy>")
    ]
    assert not unregistered


@pytest.mark.parametrize("statement", ["import polysemy", "import polysemy.cli"])
def test_import_is_light(statement):
    """`polysemy --help` answers at once: nothing of it waits for TensorFlow."""
    code = f"import sys; {statement}; print({{'tensorflow', 'keras', 'numpy'}} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_parts_are_loaded_at_first_use():
    assert polysemy.layers is importlib.import_module("polysemy.layers")
    assert {"layers", "zoo", "recipes", "serving"} <= set(dir(polysemy))


def test_unknown_part_is_refused():
    with pytest.raises(AttributeError, match="no attribute 'layer'. Its parts: layers, recipes"):
        _ = polysemy.layer


def test_version_is_the_installed_one():
    assert importlib.metadata.version("polysemy") == polysemy.__version__


def test_lock_pins_everything_and_names_no_place():
    lines = (ROOT / "requirements.lock").read_text().splitlines()
    pins = [line for line in lines if line and not line.startswith("#")]
    assert all(re.match(r"[a-z0-9._-]+==[0-9][^ ]*( ; .+)?$", pin) for pin in pins)
    assert not [line for line in lines if "://" in line or line.startswith("-")]
    assert not [pin for pin in pins if re.match(r"torch|nvidia", pin)]
