import json
import zipfile
from pathlib import Path

import keras

from .preset import import_classes


def load_model(path, **options):
    """Loads a `.keras` file that holds models or layers of this package.

    Keras finds classes that were imported; this imports those that the file names.

    Args:
        path: str or path. Written by `model.save("….keras")`: a model of the zoo, or one of your
            own around its models and layers.
        **options: see `keras.saving.load_model`.

    Returns:
        keras.Model.

    Raises:
        ValueError: there is no such file, or it is no `.keras` file, such as a preset's folder.

    Example:
    >>> import tempfile
    >>> from polysemy import zoo
    >>> path = tempfile.mkdtemp() + "/gpt2.keras"
    >>> zoo.GPT2.from_size("tiny", vocabulary_size=300).save(path)
    >>> load_model(path).name
    'gpt2'
    """
    if Path(path).is_dir():
        raise ValueError(
            "`path` must be a `.keras` file; a class's `from_preset` reads a preset's folder. "
            f"Received: path={str(path)!r}"
        )
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            if "config.json" in archive.namelist():
                import_classes(json.loads(archive.read("config.json")))
    return keras.saving.load_model(path, **options)
