"""Which models are configured, and whether a configuration may be accepted."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from ..errors import ServingError, invalid_argument
from ..protos import ModelConfig, ModelServerConfig
from .config_protos import read_text_proto
from .folders import find_models
from .options import ServerOptions

PLATFORM = "tensorflow"
_TENSORFLOW = 1  # of the deprecated enum ModelType


def configured_models(options: ServerOptions, known: Container[str] = ()) -> list[Any]:
    """The `ModelConfig`s of a directory of models, of the configuration file, or of one model.

    Args:
        options: the server's.
        known: base paths of the models so far: those in the directory stay models where they
            cannot be listed any more.

    Raises:
        ValueError: if the options name no model, or the file is wrong.
        OSError: if the directory cannot be listed.

    Example:
    >>> options = ServerOptions(model_name="elmo", model_base_path="/models/elmo")
    >>> [(config.name, config.base_path) for config in configured_models(options)]
    [('elmo', '/models/elmo')]
    """
    if options.directory and (options.model_base_path or options.model_config_file):
        raise ValueError(
            "`directory` must not come with `model_base_path` or `model_config_file`. "
            f"Received: directory={options.directory!r} and one of them"
        )
    if options.directory:
        name = None if options.model_name in ("", "default") else options.model_name
        models = find_models(options.directory, name, known)
    elif options.model_config_file:
        return read_model_configs(options.model_config_file)
    elif options.model_base_path:
        # A relative path is this process's matter; in a configuration file it is a mistake.
        path = options.model_base_path
        models = {options.model_name: path if "://" in path else Path(path).resolve()}
    else:
        raise ValueError(
            "`directory`, `model_base_path` or `model_config_file` must be given. Received: none"
        )
    configs = [
        ModelConfig(name=name, base_path=str(path), model_platform=PLATFORM)
        for name, path in models.items()
    ]
    check_model_configs(configs)
    return configs


def read_model_configs(path: str) -> list[Any]:
    """The models of a configuration file.

    Raises:
        ValueError: if the file is not such, or its configuration would be refused.
    """
    config = read_text_proto(path, ModelServerConfig())
    try:
        configs = checked_models(config)
        check_platforms(configs)
        return configs
    except ServingError as error:
        raise ValueError(f"`{path}` must be a valid configuration. Received: {error}") from error


def checked_models(config: Any, served: Mapping[str, Any] | None = None) -> list[Any]:
    """The `ModelConfig`s of a `ModelServerConfig`, if all of them may be accepted.

    Args:
        config: ModelServerConfig.
        served: the `ModelConfig`s so far, by name.

    Raises:
        ServingError: INVALID_ARGUMENT, with TensorFlow Serving's words.
    """
    if config.WhichOneof("config") != "model_config_list":
        raise invalid_argument(
            "ServerModelConfig type not supported by HandleReloadConfigRequest. "
            "Only ModelConfigList is currently supported"
        )
    configs = list(config.model_config_list.config)
    check_model_configs(configs, served)
    return configs


def check_model_configs(configs: Iterable[Any], served: Mapping[str, Any] | None = None) -> None:
    """Refuses models that cannot be served together, or not after those served so far.

    Raises:
        ServingError: INVALID_ARGUMENT, with TensorFlow Serving's words.
    """
    configs = list(configs)
    names: set[str] = set()
    for config in configs:
        if config.name in names:
            raise invalid_argument(
                f"Illegal to list model {config.name} multiple times in config list"
            )
        names.add(config.name)
    for config in configs:
        _check_base_path(config)
    for config in configs:
        if not config.name:
            raise invalid_argument("Illegal to list a model without name in config list")
        platform = _platform(config)
        before = (served or {}).get(config.name)
        if before is not None and _platform(before) != platform:
            raise invalid_argument(
                f"Illegal to change a model's platform. For model {config.name} platform was "
                f"{_platform(before)} and new platform requested is {platform}"
            )


def check_platforms(configs: Iterable[Any]) -> None:
    """Refuses models that are no SavedModels. TensorFlow Serving looks at this last.

    Raises:
        ServingError: INVALID_ARGUMENT.
    """
    for config in configs:
        if _platform(config) != PLATFORM:
            raise invalid_argument(
                f"Model {config.name} requests unsupported platform {_platform(config)}"
            )


def _check_base_path(config: Any) -> None:
    path = config.base_path
    scheme = urlsplit(path).scheme if "://" in path else ""
    if scheme not in ("", "file"):
        raise invalid_argument(
            f"Expected model {config.name} to be in a local folder; got base_path()={path}"
        )
    if not path.removeprefix("file://").startswith("/"):
        raise invalid_argument(
            f"Expected model {config.name} to have an absolute path or URI; got base_path()={path}"
        )


def _platform(config: Any) -> str:
    if config.model_type:
        if config.model_platform:
            raise invalid_argument(
                "Illegal setting both ModelServerConfig::model_type (deprecated) "
                "and ModelServerConfig::model_platform."
            )
        if config.model_type == _TENSORFLOW:
            return PLATFORM
        raise invalid_argument(
            f"ModelServerConfig::model_type choice {config.model_type} not supported."
        )
    if not config.model_platform:
        raise invalid_argument(
            "Illegal setting neither ModelServerConfig::model_type (deprecated) "
            "nor ModelServerConfig::model_platform."
        )
    return config.model_platform
