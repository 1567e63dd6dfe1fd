"""The registry of presets, and the folder format in which models are kept."""

import difflib
import fnmatch
import importlib
import inspect
import json
import os
import shutil
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

import keras
import numpy as np

from ..layers.initializers import weights_without_values
from .checkpoints import Weight, assign_weights
from .files import fetch, sha256
from .safetensors_file import read_safetensors, write_safetensors

CONFIG, WEIGHTS, CARD = "config.json", "model.safetensors", "README.md"


@dataclass(frozen=True)
class Preset:
    """Frozen facts about a set of weights.

    Attributes:
        name: `<model>_<size or source>_<language>_<casing>`.
        description: one sentence.
        parameters: number of weights of the model that the preset holds.
        license: of the weights.
        source: what they were trained on, or where they come from.
        sha256: of `model.safetensors`.
        score: what was measured, with the data it was measured on.
        path: folder inside the package, for presets that are shipped.
        url: archive (`.tar.gz`) of the folder, for presets that are downloaded.
        archive_sha256: of that archive.
        package: folder inside another installed package, which holds a published checkpoint, for
            presets that come with an extra of this one.
        reader: `module:function` of the zoo that makes a model of such a folder; it is called with
            the preset, the wanted class and a dict of overrides.
    """

    name: str
    description: str
    parameters: int
    license: str
    source: str
    sha256: str
    score: str
    path: str | None = None
    url: str | None = None
    archive_sha256: str | None = None
    package: str | None = None
    reader: str | None = None


PRESETS: dict[str, Preset] = {}


def register(*presets: Preset) -> None:
    """Adds presets to the registry; a name can be taken once."""
    for preset in presets:
        if preset.name in PRESETS and PRESETS[preset.name] != preset:
            raise ValueError(f"`name` must be new. Received: name={preset.name!r}")
        PRESETS[preset.name] = preset


def list_presets(pattern: str = "*") -> list[str]:
    """Names of the registered presets that match a wildcard pattern, sorted.

    Example:
    >>> list_presets("elmo_tiny_*")
    ['elmo_tiny_en']
    """
    _import_models()
    return sorted(name for name in PRESETS if fnmatch.fnmatch(name, pattern))


def get_preset(name: str) -> Preset:
    """The metadata of a preset.

    Raises:
        ValueError: the name is not registered; the nearest names are given.
    """
    _import_models()
    if name not in PRESETS:
        near = difflib.get_close_matches(name, PRESETS, n=3, cutoff=0.4) or sorted(PRESETS)
        raise ValueError(
            "`preset` must be a registered name or a folder written by `save_to_preset`. Received: "
            f"preset={name!r}. Nearest names: {', '.join(near)}"
        )
    return PRESETS[name]


def preset_folder(name_or_directory) -> Path:
    """The local folder of a preset, fetched if need be; its weights' checksum is verified."""
    directory = Path(name_or_directory)
    if (directory / CONFIG).exists():
        return directory
    preset = get_preset(str(name_or_directory))
    if preset.path is not None:
        directory = Path(__file__).parent / preset.path
    elif preset.url is not None and preset.archive_sha256 is not None:
        directory = _unpack(fetch(preset.url, preset.archive_sha256))
    else:
        raise ValueError(
            f"A preset must have `path`, or `url` and `archive_sha256`. Received: {preset}"
        )
    found = sha256(directory / WEIGHTS)
    if found != preset.sha256:
        raise ValueError(
            f"The weights of preset {preset.name!r} must have SHA-256 {preset.sha256}. "
            f"Received: {found}"
        )
    return directory


def save(model: keras.Model, directory, dtype: str | None = None, card: str | None = None) -> None:
    """Writes config and weights of a model; the folder appears whole or not at all.

    Args:
        model: a registered Keras model.
        directory: where; an older preset there is replaced.
        dtype: "float16" halves the file; loading casts back.
        card: text of the README.md to put beside.

    Raises:
        FileExistsError: something that is no preset is there.
        OSError: the folder cannot be written. An older preset there is as it was.
    """
    directory = Path(directory)
    if directory.is_file() or (
        directory.exists() and not (directory / CONFIG).exists() and any(directory.iterdir())
    ):
        raise FileExistsError(
            "`directory` must be new, empty or hold a preset. Received: "
            f"directory={str(directory)!r}"
        )
    directory.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(dir=directory.parent, prefix=f".{directory.name}-"))
    try:
        config = _without_training(keras.saving.serialize_keras_object(model))
        (temporary / CONFIG).write_text(json.dumps(config, indent=1, sort_keys=True) + "\n")
        arrays = {}
        for variable in saved_variables(model):
            array = keras.ops.convert_to_numpy(variable)
            arrays[variable.path] = np.array(array, dtype=dtype, order="C")
        write_safetensors(temporary / WEIGHTS, arrays)
        if card is not None:
            (temporary / CARD).write_text(card)
        # `mkdtemp` keeps it to its owner; who may read the files may enter the folder.
        readable = (temporary / CONFIG).stat().st_mode & 0o777
        os.chmod(temporary, readable | (readable & 0o444) >> 2)
        if directory.exists():
            older = temporary.with_name(f"{temporary.name}-older")
            os.replace(directory, older)
            try:
                os.replace(temporary, directory)
            except OSError:
                os.replace(older, directory)
                raise
            shutil.rmtree(older)
        else:
            os.replace(temporary, directory)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def load_preset(name_or_directory, cls: type | None = None, overrides: dict | None = None):
    """Rebuilds a model from a registered preset or from a folder; see `load`."""
    if not (Path(name_or_directory) / CONFIG).exists():
        preset = get_preset(str(name_or_directory))
        if preset.reader is not None:
            module, _, function = preset.reader.partition(":")
            read = getattr(importlib.import_module(f"..{module}", __name__), function)
            return read(preset, cls, overrides or {})
    return load(preset_folder(name_or_directory), cls, overrides, str(name_or_directory))


def load(
    directory,
    cls: type | None = None,
    overrides: dict | None = None,
    name: str | None = None,
) -> keras.Model:
    """Rebuilds a model from a preset folder.

    Args:
        directory: written by `save`.
        cls: the class that is wanted: the saved model's own, or that of its `backbone`.
        overrides: constructor arguments of the wanted class to change (dropout, statefulness); they
            must leave the shapes of the weights as they are. A dict under the name of a part
            changes that part's: `{"backbone": {"dropout": 0.1}}`.
        name: the preset's, for messages; by default the folder.

    Raises:
        ValueError: the folder is no preset's, holds no model of class `cls`, or weights that do not
            fit.
    """
    directory = Path(directory)
    name = str(directory) if name is None else name
    config = json.loads((directory / CONFIG).read_text())
    if "registered_name" not in config:
        raise ValueError(
            f"`preset` must be a folder written by `save_to_preset`. Received: preset={name!r}, "
            f"whose {CONFIG} is another one; `from_checkpoint` reads published weights"
        )
    import_classes(config)
    wanted = _find_class(config, cls)
    if wanted is None:
        raise wrong_class(cls, name, config["class_name"], "backbone" not in config["config"])
    for argument, value in (overrides or {}).items():
        if isinstance(value, dict) and "config" in (wanted["config"].get(argument) or {}):
            # Arguments of a part, e.g. the backbone.
            wanted["config"][argument]["config"].update(value)
        else:
            wanted["config"][argument] = value
    with weights_without_values():
        model = keras.saving.deserialize_keras_object(config)
    tensors = read_safetensors(directory / WEIGHTS)
    variables = saved_variables(model)
    table = [Weight(variable.path, variable.path) for variable in variables]
    ignore = getattr(model, "leaves_out", lambda path: False)
    assign_weights(variables, tensors, table, origin=str(directory / WEIGHTS), ignore=ignore)
    while cls is not None and not isinstance(model, cls):
        model = model.backbone
    return model


def wrong_class(cls, name: str, held: str, is_backbone: bool) -> ValueError:
    """The error of a preset that holds a model of another class than `cls`.

    Args:
        name: the preset's. held: the name of its model's class.
        is_backbone: whether that is one, upon which a task can be put.
    """
    wanted = getattr(cls, "__name__", "model")
    hint = ""
    if is_backbone and "backbone" in inspect.signature(cls).parameters:
        hint = f"; a new head goes upon that: {wanted}({held}.from_preset({name!r}), …)"
    return ValueError(
        f"`preset` must hold a {wanted}. Received: preset={name!r}, which holds a {held}{hint}"
    )


def _without_training(config):
    """A serialized model without what `compile` gave it, and its parts: how one was trained, with
    an optimizer of one's own perhaps, is nothing that a reader of the preset needs.
    """
    if isinstance(config, dict):
        return {k: _without_training(v) for k, v in config.items() if k != "compile_config"}
    return [_without_training(part) for part in config] if isinstance(config, list) else config


def import_classes(config) -> None:
    """Imports the classes of this package that a serialized object is made of.

    Keras finds a class that was registered, and a class is registered once its module is imported.
    """
    if isinstance(config, dict):
        module = config.get("module") or ""
        if isinstance(module, str) and module.split(".")[0] == __name__.split(".")[0]:
            importlib.import_module(module)
    if isinstance(config, (dict, list, tuple)):
        for part in config.values() if isinstance(config, dict) else config:
            import_classes(part)


def _find_class(config: dict, cls: type | None) -> dict | None:
    """The part of a serialized model that describes a `cls`: the whole, or its backbone."""
    while config:
        found = keras.saving.get_registered_object(config["registered_name"])
        if cls is None or (found is not None and issubclass(found, cls)):
            return config
        config = config["config"].get("backbone")
    return None


def saved_variables(model) -> list:
    """The weights that belong to a model's file: all but those it names `transient_variables`."""
    transient = {id(v) for v in getattr(model, "transient_variables", ())}
    variables = [v for v in model.weights if id(v) not in transient]
    paths = [v.path for v in variables]
    if len(set(paths)) != len(paths):
        double = sorted({path for path in paths if paths.count(path) > 1})
        raise ValueError(f"Each weight must have a path of its own. Received twice: {double}")
    return variables


def card(preset: Preset) -> dict:
    """The metadata as a plain dict."""
    return asdict(preset)


def _unpack(archive: Path) -> Path:
    """Unpacks beside the archive, once, and checks that this is a preset's folder."""
    target = archive.parent / "unpacked"
    if (target / CONFIG).exists():
        return target
    temporary = tempfile.mkdtemp(dir=archive.parent)
    try:
        shutil.unpack_archive(archive, temporary, filter="data")
        if not (Path(temporary) / CONFIG).exists():
            raise ValueError(f"A preset's archive must hold {CONFIG}. Received: {str(archive)!r}")
        if not target.exists():  # another process may have been faster
            os.replace(temporary, target)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return target


def _import_models() -> None:
    """Presets register when their model's module is imported: import every model of the zoo."""
    for folder in sorted(Path(__file__).parent.iterdir()):
        if (folder / "presets.py").exists():
            importlib.import_module(f"..{folder.name}.presets", __name__)
