"""What BERT's experiments share: the optimizer of the paper, and the models they start from."""

from typing import Any

from ..config import TrainerConfig
from ..run_presets import preset_of


def adamw(**options: Any) -> TrainerConfig:
    """AdamW with warm-up, linear decay to zero and clipping, as in BERT's paper (appendix A.2).

    Args:
        **options: further fields of `TrainerConfig`, or other values for these.
    """
    return TrainerConfig(
        **{
            "optimizer": "adamw",
            "optimizer_options": {"epsilon": 1e-6},
            "schedule": "linear",
            "weight_decay": 0.01,
            "gradient_clip_norm": 1.0,
            **options,
        }
    )


def own(**overrides: Any) -> dict[str, dict[str, Any]]:
    """The variants that start from our own pre-training: "own" from its default, others by name."""
    others = ("short", "phase_2", "left_to_right", "rate_40", "rate_40_long")
    runs = {"own": "default"} | {f"own_{run}": run for run in others}
    return {
        name: {"task.encoder": preset_of("bert_pretrain_wikitext2", run), **overrides}
        for name, run in runs.items()
    }


CLASSIFICATION_VARIANTS = {
    "minilm": {},
    "minilm_layer_decay": {"trainer.layer_decay": 0.8},
    "minilm_features": {
        "task.encoder_training": "frozen",
        "task.features": (-4, -3, -2, -1),
        "trainer.learning_rate": 1e-3,
    },
    "untrained": {"task.pretrained": False},
    **own(**{"task.features": (-1,)}),
}

# The model stands still under a tagger like those of the `elmo_` experiments.
_FEATURES = {
    "task.model": "tagger",
    "task.head": "crf",
    "task.scheme": "BIOES",
    "task.dropout": 0.5,
    "trainer.optimizer": "adam",
    "trainer.learning_rate": 3e-3,
    "trainer.weight_decay": None,
    "trainer.gradient_clip_norm": 5.0,
}
TAGGING_VARIANTS = {
    "minilm": {},
    "minilm_crf": {"task.head": "crf", "task.scheme": "BIOES"},
    "minilm_features_mix": _FEATURES,
    "minilm_features_top": {**_FEATURES, "task.encoder_layers": "top"},
    "no_encoder": {**_FEATURES, "task.encoder": None},
    **own(),
}
