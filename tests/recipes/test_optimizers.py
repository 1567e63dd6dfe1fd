"""Layer-wise rates: which layer a variable belongs to; Adam's steps against numpy, and in sixteen
bits against float32.
"""

from types import SimpleNamespace

import keras
import numpy as np
import pytest
import tensorflow as tf

from polysemy.recipes.config import TrainerConfig
from polysemy.recipes.optimizers import build_optimizer, layer_depth

RNG = np.random.default_rng(3)
NAMES = ("token_embedding", "layer_0", "layer_1", "layer_2", "logits")
FACTORS = dict(zip(NAMES, (0.5**4, 0.5**3, 0.5**2, 0.5, 1.0), strict=True))


def test_depth_counts_from_the_head():
    paths = [f"bert/{name}/kernel" for name in NAMES] + ["bert/pooler/bias", "gpt/block_2/kernel"]
    assert list(layer_depth(paths).values()) == [4, 3, 2, 1, 0, 0, 1]
    elmo = [
        "token_encoder/character_cnn/kernel_1",
        "token_encoder/highway/gate_kernel_0",
        "bidirectional_lm/forward_0/kernel",
        "bidirectional_lm/backward_1/recurrent_kernel",
        "scalar_mix/gamma",
    ]
    assert list(layer_depth(elmo).values()) == [3, 3, 2, 1, 0]
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
    # The layers of a head have numbers of their own, and the whole rate.
    head = keras.layers.Dense(3, name="lstm_0")
    head.build((None, 2))
    backbone = SimpleNamespace(trainable_variables=weights[:-2])
    optimizer = build_optimizer(config, 4, SimpleNamespace(backbone=backbone))
    weights.append(head.kernel)
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
            own = rate * FACTORS.get(weight.path.split("/")[0], 1.0)
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


def test_layer_decay_needs_layers_that_are_trained():
    config = TrainerConfig(steps=1, layer_decay=0.5)
    word_embedding = keras.layers.Embedding(3, 2, name="word_embedding")
    word_embedding.build(None)
    for backbone, named in (
        (None, "none"),
        (SimpleNamespace(trainable_variables=[]), "SimpleNamespace"),  # it stands still
        (SimpleNamespace(trainable_variables=word_embedding.weights), "SimpleNamespace"),
    ):
        message = f"`trainer.layer_decay` must be none.*layer_decay=0.5, encoder: {named}"
        with pytest.raises(ValueError, match=message):
            build_optimizer(config, 1, SimpleNamespace(backbone=backbone))


def test_what_decays():
    """Nothing unless it is asked for, and then neither biases nor normalization."""
    for name, decay, options, kept in (
        ("adamw", None, {}, 1.0),
        ("adam", 0.5, {}, 0.95),
        ("adamw", None, {"weight_decay": 0.5}, 0.95),
    ):
        config = TrainerConfig(
            steps=1,
            optimizer=name,
            learning_rate=0.1,
            weight_decay=decay,
            optimizer_options=options,
        )
        optimizer = build_optimizer(config)
        weights = [keras.Variable([1.0], name=part) for part in ("kernel", "bias", "gamma")]
        optimizer.apply([keras.ops.zeros(1)] * 3, weights)
        np.testing.assert_allclose(weights, [[kept], [1.0], [1.0]])


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_adam_in_sixteen_bits(dtype):
    """Each step is that of float32, rounded; a gradient of nothing moves nothing."""
    options = {"amsgrad": dtype == "float16"}
    config = TrainerConfig(steps=9, learning_rate=0.05, optimizer_options=options)
    start = np.linspace(-1, 1, 8)
    found = {}
    for each in (dtype, "float32"):
        variable, optimizer = keras.Variable(start, dtype=each), build_optimizer(config)
        gradients = np.random.default_rng(1).normal(1, 0.5, (9, 8)) * [1, 1, 1e-3, 1e-3, 1, 1, 1, 0]
        for gradient in gradients:
            optimizer.apply([keras.ops.convert_to_tensor(gradient, dtype=each)], [variable])
        found[each] = keras.ops.convert_to_numpy(keras.ops.cast(variable, "float32"))
    assert np.abs(found["float32"] - start)[:7].min() > 0.3
    precision = 2**-8 if dtype == "bfloat16" else 2**-11
    np.testing.assert_allclose(found[dtype], found["float32"], atol=9 * precision)
    assert found[dtype][7] == 1.0


def test_the_norm_of_gradients_in_sixteen_bits():
    """Squares beyond float16, beside a head of another type and a sparse gradient."""
    config = TrainerConfig(steps=1, optimizer="sgd", learning_rate=1.0, gradient_clip_norm=1.0)
    variables = [keras.Variable(np.zeros(2), dtype=dtype) for dtype in ("float16", "float32")]
    sparse = tf.IndexedSlices(tf.constant([300.0], "float16"), tf.constant([0]), tf.constant([2]))
    build_optimizer(config).apply([sparse, tf.constant([0.0, 400.0])], variables)
    for variable, expected in zip(variables, ([-0.6, 0.0], [0.0, -0.8]), strict=True):
        np.testing.assert_allclose(variable, expected, rtol=1e-3)


def test_an_optimizer_without_numbers_for_the_precision():
    config = TrainerConfig(steps=1, optimizer="nadam", mixed_precision="bfloat16")
    with pytest.raises(ValueError, match="`trainer.optimizer` must be another one.*'nadam'"):
        build_optimizer(config)
