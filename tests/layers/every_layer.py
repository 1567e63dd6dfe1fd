"""Runs every layer on fixed weights and inputs: `python every_layer.py results.npz`.

`test_jax.py` runs it on both backends and compares. It must not import TensorFlow by itself.
"""

import sys
from typing import Any

import keras
import numpy as np

from polysemy import layers

LENGTHS = np.array([5, 0, 2, 4])
MASK = np.arange(5) < LENGTHS[:, None]


def forward() -> dict[str, Any]:
    """Arrays by name: outputs of all layers, and gradients of the recurrent ones."""
    rng = np.random.default_rng(3)
    x = rng.normal(size=(4, 5, 6)).astype("float32")
    y = rng.normal(size=(4, 5, 6)).astype("float32")
    stack = rng.normal(size=(4, 3, 5, 6)).astype("float32")
    ids = rng.integers(0, 9, (4, 5)).astype("int32")
    characters = rng.integers(0, 9, (4, 5, 7)).astype("int32") * MASK[:, :, None]
    clips = {"cell_clip": 0.5, "projection_clip": 0.3}
    allowed = layers.crf_constraints(["O", "B-X", "I-X", "B-Y", "I-Y", "B-Z"], "BIO")
    runs = {  # name: layer, positional inputs, keyword inputs
        "cnn": (layers.CharacterCNN(9, 3, [(1, 4), (3, 5)]), (characters,), {}),
        "highway": (layers.Highway(2), (x,), {}),
        "lstm": (
            layers.ProjectedLSTM(8, 6, return_state=True, residual=True, **clips),
            (x,),
            {"padding_mask": MASK},
        ),
        "lstm_backwards": (
            layers.ProjectedLSTM(8, 6, return_state=True, go_backwards=True, **clips),
            (x,),
            {"padding_mask": MASK, "initial_state": (y[:, 0], np.tile(y[:, 1], 2)[:, :8])},
        ),
        "bilm": (
            layers.BidirectionalLM(2, 8, 6, **clips),
            (x,),
            {"reverse_inputs": y, "padding_mask": MASK},
        ),
        "stateful_bilm": (
            layers.BidirectionalLM(1, 8, 6, stateful=True, state_batch_size=5),
            (x,),
            {"padding_mask": MASK},
        ),
        "mix": (layers.ScalarMix(3, normalize=True), (stack,), {"padding_mask": MASK}),
        "head": (layers.LMHead(9), (x,), {}),
        "head_loss": (layers.LMHead(9, num_sampled=3), (x,), {"targets": ids}),
        # Draws every word, so that the two backends' random numbers do not matter.
        "head_sampled": (layers.LMHead(9, num_sampled=9), (x,), {"targets": ids, "training": True}),
        "gather": (layers.GatherWords(), (stack, ids % 5), {}),
        "boundaries": (layers.SentenceBoundaries([8] * 7, [9] * 7), (characters, MASK), {}),
        "norm": (layers.LayerNorm(1e-5), (x,), {}),
        "attention": (
            layers.MultiHeadAttention(2),
            (x,),
            {"attention_mask": MASK[:, None], "return_attention": True},
        ),
        "feed_forward": (
            layers.FeedForward(8, "gelu"),
            (x,),
            {"residual": y, "training": True},
        ),
        "block": (
            layers.TransformerBlock(2, 8, "gelu_tanh", norm="pre"),
            (x,),
            {
                "cache": (np.zeros((4, 2, 7, 3), "float32"),) * 2,
                "cache_index": layers.CachePlace(np.array([0, 2, 1, 0]), 4, 5, 7, 2),
            },
        ),
        "masked_by_keras": (
            keras.Sequential(
                [
                    keras.layers.Embedding(9, 6, mask_zero=True),
                    layers.TransformerBlock(2, 8),
                    layers.ProjectedLSTM(4, 3),
                ]
            ),
            (ids * MASK,),
            {},
        ),
        "decoder_block": (
            layers.TransformerBlock(2, 8, "relu", cross_attention=True),
            (x,),
            {
                "attention_mask": np.array(
                    layers.combine_masks(layers.causal_attention_mask(5, 5), MASK[:, None, None])
                ),
                "encoded": stack[:, 0],
                "encoded_mask": np.array(layers.padding_attention_mask(MASK)),
            },
        ),
        "positions": (layers.PositionEmbedding(9), (x,), {"start_index": np.array([0, 3, 1, 4])}),
        "sinusoids": (layers.SinusoidalPosition(), (x,), {"start_index": np.array([0, 3, 1, 4])}),
        "embedding": (
            layers.TokenSegmentPositionEmbedding(9, 6, 5),
            (ids,),
            {"segment_ids": ids % 2},
        ),
        "masked_lm": (
            layers.MaskedLMHead(9),
            (x, ids[:, :3] % 5),
            {"embedding_matrix": y.reshape(-1, 6)[:9]},
        ),
        "next_sentence": (layers.NextSentenceHead(), (x[:, 0],), {}),
        "crf": (layers.CRF(6, constraints=allowed), (x,), {"padding_mask": MASK}),
    }
    results: dict[str, Any] = {}
    for name, (layer, args, kwargs) in runs.items():
        layer(*symbols(args), **symbols(kwargs))  # builds it, without computing
        layer.set_weights([rng.normal(size=w.shape) / 2 for w in layer.get_weights()])
        # Those whose gradient is written out.
        written_out = layers.ProjectedLSTM | layers.BidirectionalLM | layers.FeedForward
        with_gradients = isinstance(layer, written_out)
        outputs, gradients = compute(layer, with_gradients, *args, **kwargs)
        collect(results, name, outputs)
        if with_gradients:
            collect(results, f"{name}_gradient", gradients)
    collect(results, "crf_loss", layers.CRFLoss()(ids * 0, outputs["log_potentials"]))
    # How rows are found differs between backends; that they come back does not.
    collect(results, "rows", layers.TakeRows()(*layers.DistinctRows()(characters)))
    sampler = layers.LogUniformSampler(20, 5, seed=1)
    assert len(set(keras.ops.convert_to_numpy(sampler()).tolist())) == 5
    collect(results, "expected_count", sampler.log_expected_count(np.arange(20)))
    collect(results, "state", runs["stateful_bilm"][0].non_trainable_variables)
    return results


def symbols(arguments):
    """The arguments with arrays replaced by what Keras knows of them when it builds a graph."""

    def symbol(x):
        return keras.KerasTensor(x.shape, str(x.dtype)) if isinstance(x, np.ndarray) else x

    return keras.tree.map_structure(symbol, arguments)


def compute(layer, with_gradients, x, *args, **kwargs):
    """Outputs, and gradients of the sum of their squares in all weights and the input."""

    def loss(outputs):
        outputs = [y for y in keras.tree.flatten(outputs) if "float" in str(y.dtype)]
        squares = [keras.ops.sum(keras.ops.square(y)) for y in outputs]
        return sum(squares, keras.ops.zeros(()))

    if keras.backend.backend() == "jax":
        import jax

        def run(weights, x, states):
            outputs, states = layer.stateless_call(weights, states, x, *args, **kwargs)
            return loss(outputs), (outputs, states)

        weights = [w.value for w in layer.trainable_variables]
        states = [w.value for w in layer.non_trainable_variables]
        if with_gradients:
            run = jax.grad(run, argnums=(0, 1), has_aux=True)
        # One program for each layer: compiling takes longer than computing.
        gradients, (outputs, states) = jax.jit(run)(weights, x, states)
        for variable, value in zip(layer.non_trainable_variables, states, strict=True):
            variable.assign(value)
        return outputs, gradients
    import tensorflow as tf

    x = tf.constant(x)
    sources = [*(w.value for w in layer.trainable_variables), x] if with_gradients else []
    with tf.GradientTape() as tape:
        tape.watch(sources)
        outputs = layer(x, *args, **kwargs)
        total = loss(outputs)
    return outputs, tape.gradient(total, sources)


def collect(results, name, values):
    for i, value in enumerate(keras.tree.flatten(values)):
        results[f"{name}_{i}"] = np.array(keras.ops.convert_to_numpy(value))


if __name__ == "__main__":
    # Whoever imports TensorFlow from here on gets an ImportError.
    sys.modules["tensorflow"] = None  # pyright: ignore[reportArgumentType]
    np.savez(sys.argv[1], **forward())
