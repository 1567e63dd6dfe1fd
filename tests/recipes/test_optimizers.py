"""Layer-wise rates: which layer a variable belongs to, and AdamW's steps against numpy."""

import keras
import numpy as np
import pytest

from polysemy.recipes.config import TrainerConfig
from polysemy.recipes.optimizers import build_optimizer, layer_depth

RNG = np.random.default_rng(3)
NAMES = ("token_embedding", "layer_0", "layer_1", "layer_2", "logits")
FACTORS = dict(zip(NAMES, (0.5**4, 0.5**3, 0.5**2, 0.5, 1.0), strict=True))


def test_depth_counts_from_the_head():
    paths = [f"bert/{name}/kernel" for name in NAMES] + ["bert/pooler/bias", "gpt/block_2/kernel"]
    assert list(layer_depth(paths).values()) == [4, 3, 2, 1, 0, 0, 1]
    assert layer_depth(["a/kernel", "word_embedding/embeddings"]) == {
        "a/kernel": 0,
        "word_embedding/embeddings": 0,
    }


def variables():
    found = []
    for name in NAMES:
        layer = keras.layers.Dense(3, name=name)
        layer.build((None, 2))
        found += [layer.kernel, layer.bias]
    return found


@pytest.mark.parametrize("clip", [None, 0.5])
def test_adamw_with_layer_decay(clip):
    """The formula of Loshchilov and Hutter with each variable's own rate, decay included."""
    config = TrainerConfig(
        steps=4,
        optimizer="adamw",
        learning_rate=0.1,
        schedule="linear",
        warmup_steps=2,
        weight_decay=0.3,
        layer_decay=0.5,
        gradient_clip_norm=clip,
        optimizer_options={"epsilon": 1e-6},
    )
    weights = variables()
    optimizer = build_optimizer(config, total_updates=4)
    optimizer.build(weights)
    expected = [RNG.normal(size=w.shape).astype("float32") for w in weights]
    for weight, value in zip(weights, expected, strict=True):
        weight.assign(value)
    first = [np.zeros(w.shape) for w in weights]
    second = [np.zeros(w.shape) for w in weights]
    for step, rate in enumerate((0.05, 0.1, 0.1, 0.05), start=1):
        gradients = [RNG.normal(size=w.shape).astype("float32") for w in weights]
        optimizer.apply([keras.ops.convert_to_tensor(g) for g in gradients], weights)
        norm = np.sqrt(sum((g**2).sum() for g in gradients))
        scale = 1.0 if clip is None else min(1.0, clip / norm)
        for i, (weight, gradient) in enumerate(zip(weights, gradients, strict=True)):
            own = rate * FACTORS[weight.path.split("/")[0]]
            gradient = gradient * scale
            if "bias" not in weight.path:
                expected[i] = expected[i] - own * 0.3 * expected[i]
            first[i] = 0.9 * first[i] + 0.1 * gradient
            second[i] = 0.999 * second[i] + 0.001 * gradient**2
            corrected = first[i] / (1 - 0.9**step)
            root = np.sqrt(second[i] / (1 - 0.999**step))
            # Keras puts the small constant beside the uncorrected root.
            expected[i] = expected[i] - own * corrected / (root + 1e-6 / np.sqrt(1 - 0.999**step))
            np.testing.assert_allclose(weight, expected[i], atol=2e-6, err_msg=weight.path)
    assert optimizer.weight_decay == 0.3


def test_a_factor_out_of_range():
    for value in (0.0, 1.5):
        with pytest.raises(ValueError, match=f"`trainer.layer_decay` must.*layer_decay={value}"):
            TrainerConfig(steps=1, layer_decay=value)
