"""The graph: sizes, names, causality, padding, cache, precision, saving, training."""

import keras
import numpy as np
import pytest
from keras import ops

from polysemy.zoo import GPT2, GPT2CausalLM
from polysemy.zoo.gpt2.sizes import GPT2_SIZES

PARAMETERS = {
    "small": 124_439_808,
    "medium": 354_823_168,
    "large": 774_030_080,
    "xl": 1_557_611_200,
    "gpt1": 116_534_784,
}


@pytest.mark.parametrize("size", PARAMETERS)
def test_published_sizes(size):
    one, two = (GPT2_SIZES[size] | {"num_layers": n} for n in (1, 2))
    with keras.StatelessScope(
        initialize_variables=False
    ):  # variables have a shape here, and no memory
        one, two = GPT2(**one).count_params(), GPT2(**two).count_params()
    assert one + (GPT2_SIZES[size]["num_layers"] - 1) * (two - one) == PARAMETERS[size]


def test_an_unknown_size():
    with pytest.raises(ValueError, match="`size` must be one of.*Received: size='huge'"):
        GPT2.from_size("huge")


def inputs(rows=2, length=7, lengths=None, seed=0):
    ids = np.random.default_rng(seed).integers(0, 50, (rows, length)).astype("int32")
    mask = np.arange(length) < np.array([length] * rows if lengths is None else lengths)[:, None]
    return {"token_ids": ids, "padding_mask": mask}


@pytest.mark.parametrize("norm", ["pre", "post"])
def test_outputs(make_gpt2, norm):
    model = make_gpt2(norm=norm, return_attention=True)
    outputs = {name: ops.convert_to_numpy(x) for name, x in model(inputs()).items()}
    assert {name: x.shape for name, x in outputs.items()} == {
        "sequence_output": (2, 7, 12),
        "layer_outputs": (2, 3, 7, 12),
        "attention": (2, 2, 2, 7, 7),
    }
    np.testing.assert_array_equal(outputs["layer_outputs"][:, -1], outputs["sequence_output"])
    np.testing.assert_allclose(outputs["attention"].sum(axis=-1), 1.0, rtol=1e-5)
    assert np.triu(outputs["attention"], 1).max() == 0
    assert (model.final_norm is None) == (norm == "post")


def test_a_later_token_changes_nothing_earlier(make_gpt2):
    model, before = make_gpt2(), inputs()
    after = {**before, "token_ids": before["token_ids"].copy()}
    after["token_ids"][:, 4] += 1
    x, y = (ops.convert_to_numpy(model(i)["layer_outputs"]) for i in (before, after))
    np.testing.assert_array_equal(x[:, :, :4], y[:, :, :4])
    assert np.abs(x - y)[:, 1:, 4:].max(axis=(0, 1, 3)).min() > 1e-5


def test_padding_changes_nothing(make_gpt2):
    model, padded = make_gpt2(), inputs(lengths=[7, 4])
    whole = ops.convert_to_numpy(model(padded)["layer_outputs"])
    alone = {"token_ids": padded["token_ids"][1:, :4], "padding_mask": np.ones((1, 4), bool)}
    found = ops.convert_to_numpy(model(alone)["layer_outputs"])
    np.testing.assert_allclose(whole[1:, :, :4], found, rtol=0, atol=1e-6)


def test_cached_steps_equal_one_pass(make_gpt2):
    """Rows of two lengths: read at once, then a token at a time, each row at its own index."""
    model = GPT2CausalLM(make_gpt2())
    whole = inputs(length=9)
    expected = ops.convert_to_numpy(model(whole)["logits"])
    lengths = np.array([5, 2], "int32")
    cache = model.init_cache(2, 9)
    logits, cache = model.step(whole["token_ids"][:, :5], cache, 0, lengths=lengths)
    for _ in range(4):
        rows = np.arange(2)
        np.testing.assert_allclose(logits, expected[rows, lengths - 1], rtol=0, atol=1e-5)
        new = whole["token_ids"][rows, lengths][:, None]
        logits, cache = model.step(new, cache, lengths)
        lengths = lengths + 1


def test_a_step_of_quantized_vectors_scores_as_the_model(make_gpt2):
    model = GPT2CausalLM(make_gpt2())
    one = inputs(rows=1)
    exact = model(one)["logits"][0, -1]
    model.backbone.token_embedding.quantize("int8")
    expected = model(one)["logits"][0, -1]
    logits, _ = model.step(ops.convert_to_tensor(one["token_ids"]), model.init_cache(1, 7), 0)
    np.testing.assert_allclose(logits[0], expected, atol=1e-5)
    assert np.abs(expected - exact).max() > 1e-5


def test_loss_leaves_padding_out(make_gpt2):
    model = GPT2CausalLM(make_gpt2(dropout=0.0, attention_dropout=0.0))
    x = inputs(lengths=[7, 4])
    outputs = model(x)
    logits = ops.convert_to_numpy(outputs["logits"]).astype("f8")
    log_p = logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))
    losses = [-log_p[0, i, x["token_ids"][0, i + 1]] for i in range(6)]
    losses += [-log_p[1, i, x["token_ids"][1, i + 1]] for i in range(3)]
    found = float(model.compute_loss(x, None, outputs))
    np.testing.assert_allclose(found, np.mean(losses), rtol=1e-5)
    y = np.full((2, 7), -1)
    y[0, :6], y[1, :3] = x["token_ids"][0, 1:], x["token_ids"][1, 1:4]
    np.testing.assert_allclose(model.compute_loss(x, y, outputs), found, rtol=1e-6)
    weights = np.zeros((2, 7))
    weights[0, 2] = 2.0
    one = model.compute_loss(x, y, outputs, sample_weight=weights)
    np.testing.assert_allclose(one, 2 * losses[2] / 9, rtol=1e-5)
    second = model.compute_loss(x, y, outputs, sample_weight=np.array([0.0, 1.0]))
    np.testing.assert_allclose(second, np.sum(losses[6:]) / 9, rtol=1e-5)


def test_training_lowers_the_loss_and_reaches_every_weight(make_gpt2):
    model = GPT2CausalLM(make_gpt2(dropout=0.0, attention_dropout=0.0))
    x = inputs(rows=4, length=12)
    before = [np.array(w) for w in model.trainable_weights]
    model.compile(optimizer=keras.optimizers.Adam(0.01))
    losses = model.fit(x, batch_size=4, epochs=10, verbose=0).history["loss"]
    assert losses[0] == pytest.approx(np.log(50), rel=0.1) and losses[-1] < 0.8 * losses[0]
    for variable, old in zip(model.trainable_weights, before, strict=True):
        assert np.abs(np.array(variable) - old).max() > 0, variable.path


def test_half_precision(make_gpt2):
    full = GPT2CausalLM(make_gpt2())
    half = GPT2CausalLM(make_gpt2(dtype="mixed_bfloat16"))
    half.set_weights(full.get_weights())
    outputs = half(inputs())["logits"]
    assert keras.backend.standardize_dtype(outputs.dtype) == "float32"
    np.testing.assert_allclose(outputs, full(inputs())["logits"], rtol=0, atol=0.02)
    empty = half.init_cache(2, 8)
    dtypes = {keras.backend.standardize_dtype(part.dtype) for pair in empty for part in pair}
    assert dtypes == {"bfloat16"}
    logits, cache = half.step(inputs()["token_ids"], empty, 0)
    assert keras.backend.standardize_dtype(cache[0][0].dtype) == "bfloat16"
    np.testing.assert_allclose(logits, outputs[:, -1], rtol=0, atol=0.01)


def test_saving(model, tmp_path):
    model.save(tmp_path / "model.keras")
    model.save_to_preset(tmp_path / "preset")
    x = model.preprocessor(["the cat sat on", "a hen"])
    expected = model(x)["logits"]
    for again in (
        keras.models.load_model(tmp_path / "model.keras"),
        GPT2CausalLM.from_preset(tmp_path / "preset"),
    ):
        assert again.get_config() == model.get_config()
        np.testing.assert_array_equal(
            again(again.preprocessor(["the cat sat on", "a hen"]))["logits"], expected
        )
    backbone = GPT2.from_preset(tmp_path / "preset", sequence_length=3)
    assert backbone.preprocessor(["the cat sat on"])["token_ids"].shape == (1, 3)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"hidden_dim": 13}, "`hidden_dim` must be divisible by `num_heads`"),
        ({"vocabulary": ["a"]}, "`vocabulary` and `merges` must be given together"),
        ({"vocabulary": ["a"], "merges": []}, "as many as the weights have rows.*1 tokens, voca"),
        ({"sequence_length": 17}, "`sequence_length` must be between 1 and `max_length`"),
        ({"norm": "both"}, "`norm` must be"),
        ({"activation": "silu"}, "`activation` must be one of"),
    ],
    ids=str,
)
def test_arguments_that_make_no_sense(make_gpt2, arguments, message):
    with pytest.raises(ValueError, match=message):
        make_gpt2(**arguments)
