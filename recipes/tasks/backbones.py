"""The encoder that a task starts from."""

from __future__ import annotations

from typing import Any

from ...zoo.backbone import Backbone


def load_backbone(preset: str, pretrained: bool = True, **overrides: Any) -> Backbone:
    """Loads the backbone of a preset, whatever model it is of.

    Args:
        preset: a preset's name, or a folder written by `save_to_preset`; of a task's preset its
            backbone is taken.
        pretrained: bool. False builds the same model with new weights, and its vocabulary: what
            pre-training is measured against.
        **overrides: constructor arguments of the backbone to change.

    Example:
    >>> load_backbone("elmo_tiny_en").name
    'elmo'
    """
    backbone = Backbone.from_preset(preset, **overrides)
    return backbone if pretrained else type(backbone).from_config(backbone.get_config())
