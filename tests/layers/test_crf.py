import itertools
import os
import subprocess
import sys
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from polysemy.layers.crf import CRF
from polysemy.layers.crf_constraints import crf_constraints
from polysemy.layers.crf_loss import CRFLoss

BIO = crf_constraints(["O", "B-X", "I-X", "B-Y"], "BIO")
LENGTHS = np.array([4, 1, 0, 3])


def random_crf(constraints=None, tags=4, dtype=None, scale=2.0):
    rng = np.random.default_rng(1)
    crf = CRF(tags, constraints=constraints, dtype=dtype)
    crf.build((None, None, tags))
    crf.set_weights([scale * rng.normal(size=w.shape) for w in crf.weights])
    logits = (scale * rng.normal(size=(4, 4, tags))).astype("float32")
    mask = np.arange(4) < LENGTHS[:, None]
    gold = np.array([[1, 2, 0, 1], [3, 0, 0, 0], [0, 0, 0, 0], [0, 1, 2, 0]]) * mask
    return crf, logits, mask, gold


def enumerate_paths(crf, logits, length):
    """All tag sequences that the constraints allow, and their scores, by the formula."""
    transitions, start, end = (np.array(w, "float64") for w in crf.get_weights())
    tags = crf.num_tags
    allowed = np.ones((tags + 2, tags + 2)) if crf.constraints is None else crf.constraints
    paths, scores = [], []
    for path in itertools.product(range(tags), repeat=length):
        whole = (tags, *path, tags + 1)
        if length and not all(allowed[a, b] for a, b in itertools.pairwise(whole)):
            continue
        score = sum(float(logits[t, tag]) for t, tag in enumerate(path))
        score += sum(transitions[a, b] for a, b in itertools.pairwise(path))
        if length:
            score += start[path[0]] + end[path[-1]]
        paths.append(path)
        scores.append(score)
    return paths, np.array(scores)


@pytest.mark.parametrize("constraints", [None, BIO], ids=["free", "BIO"])
def test_all_results_against_enumeration(constraints):
    crf, logits, mask, gold = random_crf(constraints)
    log_likelihood = np.array(crf.log_likelihood(logits, gold, mask))
    tag_ids, best = (np.array(x) for x in crf.decode(logits, mask))
    marginals = np.array(crf.marginals(logits, mask))
    outputs = {name: np.array(x) for name, x in crf(logits, padding_mask=mask).items()}
    loss = np.array(CRFLoss(reduction=None)(gold, outputs["log_potentials"]))
    for row, length in enumerate(LENGTHS):
        paths, scores = enumerate_paths(crf, logits[row], length)
        total = np.log(np.exp(scores).sum())
        path = tuple(gold[row, :length])
        expected = np.zeros((4, 4))
        for other, probability in zip(paths, np.exp(scores - total), strict=True):
            for position, tag in enumerate(other):
                expected[position, tag] += probability
        assert log_likelihood[row] == pytest.approx(scores[paths.index(path)] - total, abs=1e-5)
        assert tuple(tag_ids[row]) == paths[scores.argmax()] + (0,) * (4 - length)
        assert best[row] == pytest.approx(scores.max(), abs=1e-5)
        np.testing.assert_allclose(marginals[row], expected, atol=1e-5)
    np.testing.assert_array_equal(outputs["tag_ids"], tag_ids)
    np.testing.assert_array_equal(outputs["probabilities"], marginals)
    np.testing.assert_array_equal(outputs["logits"], logits)
    np.testing.assert_allclose(loss, -log_likelihood, atol=1e-5)


@pytest.mark.parametrize("constraints", [None, BIO], ids=["free", "BIO"])
def test_gradients_against_finite_differences(constraints):
    crf, logits, mask, gold = random_crf(constraints)
    x = tf.constant(logits)
    values = [w.value for w in crf.weights]
    with tf.GradientTape() as tape:
        tape.watch(x)
        nll = -tf.reduce_sum(crf.log_likelihood(x, gold, mask) * [1.0, 2.0, 3.0, 4.0])
    gradients = tape.gradient(nll, [x, *values])

    def exact(logits):
        total = 0.0
        for row, length in enumerate(LENGTHS):
            paths, scores = enumerate_paths(crf, logits[row], length)
            index = paths.index(tuple(gold[row, :length]))
            total += (row + 1) * (np.log(np.exp(scores).sum()) - scores[index])
        return total

    rng = np.random.default_rng(2)
    direction = rng.normal(size=logits.shape)
    numeric = (exact(logits + 1e-4 * direction) - exact(logits - 1e-4 * direction)) / 2e-4
    assert np.sum(gradients[0] * direction) == pytest.approx(numeric, rel=1e-4)
    np.testing.assert_array_equal(gradients[0].numpy()[~mask], 0)
    for weight, gradient in zip(crf.weights, gradients[1:], strict=True):
        before = weight.numpy().astype("float64")
        direction = rng.normal(size=before.shape)
        ends = []
        for sign in (1, -1):
            weight.assign(before + sign * 1e-2 * direction)
            ends.append(exact(logits))
        weight.assign(before)
        numeric = (ends[0] - ends[1]) / 2e-2
        assert np.sum(gradient * direction) == pytest.approx(numeric, rel=2e-3, abs=2e-3)


def test_padding_changes_nothing():
    crf, logits, mask, gold = random_crf(BIO)
    wide = np.concatenate([logits, np.full((4, 3, 4), np.nan, "float32")], axis=1)
    wide_mask = np.concatenate([mask, np.zeros((4, 3), bool)], axis=1).astype("int32")
    wide_gold = np.concatenate([np.where(mask, gold, -1), np.full((4, 3), 99)], axis=1)
    np.testing.assert_array_equal(
        crf.log_likelihood(wide, wide_gold, wide_mask), crf.log_likelihood(logits, gold, mask)
    )
    for one, other in zip(crf.decode(wide, wide_mask), crf.decode(logits, mask), strict=True):
        one = one[:, :4] if len(one.shape) == 2 else one
        np.testing.assert_array_equal(one, other)
    with tf.GradientTape() as tape:
        x = tf.constant(wide)
        tape.watch(x)
        nll = -crf.log_likelihood(x, wide_gold, wide_mask)
    assert np.isfinite(tape.gradient(nll, x)).all()


def test_untrained_is_a_softmax_for_each_token():
    logits = np.random.default_rng(0).normal(size=(2, 5, 3)).astype("float32")
    crf = CRF(3)
    np.testing.assert_allclose(crf.marginals(logits), tf.nn.softmax(logits), atol=1e-6)
    np.testing.assert_array_equal(crf.decode(logits)[0], logits.argmax(-1))


def test_constraints_hold_against_any_scores():
    tags = ["O", "B-X", "I-X", "E-X", "S-X", "B-Y", "I-Y", "E-Y", "S-Y"]
    allowed = crf_constraints(tags, "BIOES")
    assert allowed is not None
    logits = 50 * np.random.default_rng(3).normal(size=(20, 12, 9)).astype("float32")
    outputs = CRF(9, constraints=allowed)(logits)
    for path in np.array(outputs["tag_ids"]):
        assert all(allowed[a, b] for a, b in itertools.pairwise([9, *path, 10]))
    probabilities = np.array(outputs["probabilities"])
    np.testing.assert_allclose(probabilities.sum(-1), 1, atol=1e-5)
    assert probabilities[:, 0, [2, 3, 6, 7]].max() == 0  # I- and E- never start
    assert probabilities[:, -1, [1, 2, 5, 6]].max() == 0  # B- and I- never end
    forbidden = np.array(CRF(9, constraints=allowed).log_likelihood(logits, np.full((20, 12), 2)))
    no_tags = np.full((20, 12), 1)
    no_tags[np.arange(20), np.arange(20) % 12] = np.where(np.arange(20) % 2, 9, -1)
    forbidden = np.append(forbidden, CRF(9).log_likelihood(logits, no_tags))
    assert (forbidden < -1e5).all()
    assert np.isfinite(forbidden).all()


def test_long_sentence_keeps_its_precision():
    """5,000 tokens: the marginals agree with those of the part that they depend on."""
    crf, *_ = random_crf(scale=1.0)
    logits = np.random.default_rng(4).normal(size=(1, 5000, 4)).astype("float32") + 3
    marginals = tf.function(crf.marginals)(logits).numpy()
    near = tf.function(crf.marginals)(logits[:, 2400:2600]).numpy()
    np.testing.assert_allclose(marginals[:, 2450:2550], near[:, 50:150], atol=1e-5)
    tags, _ = tf.function(crf.decode)(logits)
    per_token = tf.function(crf.log_likelihood)(logits, tags).numpy() / 5000
    assert -2 < per_token[0] < 0


@pytest.mark.parametrize("shape", [(0, 3, 4), (2, 0, 4), (0, 0, 4), (3, 1, 4)])
def test_empty_batch_and_empty_sentences(shape):
    crf, *_ = random_crf()
    function = tf.function(crf, input_signature=[tf.TensorSpec((None, None, 4))])
    outputs = function(np.zeros(shape, "float32"))
    assert outputs["tag_ids"].shape == shape[:2]
    assert outputs["log_potentials"].shape == (*shape, 4)
    assert np.isfinite(outputs["probabilities"]).all()
    likelihood = crf.log_likelihood(np.zeros(shape, "float32"), np.zeros(shape[:2], "int32"))
    assert likelihood.shape == shape[:1]
    assert (np.array(likelihood) <= 0).all()


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16", "float32"])
def test_dynamic_programs_are_float32_under_every_policy(policy):
    crf, logits, mask, gold = random_crf(BIO, dtype=policy)
    reference, *_ = random_crf(BIO)
    outputs = crf(logits, padding_mask=mask)
    assert outputs["probabilities"].dtype == tf.float32
    np.testing.assert_array_equal(outputs["probabilities"], reference.marginals(logits, mask))
    half = tf.cast(logits, crf.compute_dtype)
    np.testing.assert_array_equal(
        crf.log_likelihood(half, gold, mask),
        reference.log_likelihood(tf.cast(half, "float32"), gold, mask),
    )


def test_graph_xla_and_eager_agree():
    crf, logits, mask, gold = random_crf(BIO)
    for jit_compile in (False, True):
        function = tf.function(crf.log_likelihood, jit_compile=jit_compile)
        decode = tf.function(crf.decode, jit_compile=jit_compile)
        np.testing.assert_allclose(
            function(logits, gold, mask), crf.log_likelihood(logits, gold, mask), atol=1e-5
        )
        np.testing.assert_array_equal(decode(logits, mask)[0], crf.decode(logits, mask)[0])


def test_loop_is_compiled_once_for_all_lengths():
    crf, *_ = random_crf()
    function = tf.function(crf.decode, input_signature=[tf.TensorSpec((None, None, 4))])
    sizes = {len(function.get_concrete_function().graph.get_operations())}
    for length in (3, 30):
        assert function(np.zeros((2, length, 4), "float32"))[0].shape == (2, length)
    assert function.experimental_get_tracing_count() == 1
    assert sizes.pop() < 300


def toy():
    """A token's tag depends on the token before: a model of single tokens cannot learn it."""
    rng = np.random.default_rng(5)
    x = rng.integers(1, 3, size=(64, 6)) * (np.arange(6) < rng.integers(1, 7, size=(64, 1)))
    before = np.concatenate([np.zeros((64, 1), int), x[:, :-1]], axis=1)
    return x, np.where(x > 0, 2 * (x == 2) + (before == 2), 0)


def toy_model(**compile_arguments):
    tokens = keras.Input((None,), dtype="int32")
    hidden = keras.layers.Embedding(3, 8, mask_zero=True)(tokens)
    outputs = CRF(4)(keras.layers.Dense(4)(hidden))
    model = keras.Model(tokens, outputs)
    model.compile(
        keras.optimizers.Adam(0.1), loss={"log_potentials": CRFLoss()}, **compile_arguments
    )
    return model


@pytest.mark.parametrize("arguments", [{}, {"run_eagerly": True}, {"jit_compile": True}])
def test_fit_learns_transitions_and_takes_the_keras_mask(arguments):
    keras.utils.set_random_seed(0)
    model = toy_model(**arguments)
    x, y = toy()
    epochs = 2 if arguments else 40
    losses = model.fit(x, {"log_potentials": y}, epochs=epochs, verbose=0).history["loss"]
    assert losses[-1] < losses[0]
    if epochs == 40:
        # A first token's tag follows from the token, every other from the pair: all are learnable.
        predicted = model.predict(x, verbose=0)["tag_ids"]
        assert (predicted == y)[x > 0].mean() == 1
        assert (predicted[x == 0] == 0).all()
    mask = x > 0
    crf = next(layer for layer in model.layers if isinstance(layer, CRF))
    logits = model.predict(x, verbose=0)["logits"]
    expected = -np.mean(crf.log_likelihood(logits, y, mask))
    evaluated = model.evaluate(x, {"log_potentials": y}, verbose=0, batch_size=64)
    assert evaluated == pytest.approx(expected, rel=1e-4)


def test_sample_weight_weighs_sentences():
    crf, logits, mask, gold = random_crf()
    potentials = crf(logits, padding_mask=mask)["log_potentials"]
    weights = np.array([1.0, 0.0, 5.0, 2.0], "float32")
    expected = -np.sum(weights * crf.log_likelihood(logits, gold, mask)) / 4
    assert float(CRFLoss()(gold, potentials, sample_weight=weights)) == pytest.approx(expected)


def test_keras_file_round_trip_keeps_weights_loss_and_constraints(tmp_path):
    x, y = toy()
    tokens = keras.Input((None,), dtype="int32")
    mask = keras.Input((None,), dtype="bool")
    logits = keras.layers.Dense(4)(keras.layers.Embedding(3, 8)(tokens))
    model = keras.Model([tokens, mask], CRF(4, constraints=BIO)(logits, padding_mask=mask))
    model.compile("adam", loss={"log_potentials": CRFLoss()})
    y = np.where(y == 2, 1, y)  # any tags that BIO allows
    y = np.where(y > 1, 0, y)
    model.fit([x, x > 0], {"log_potentials": y}, epochs=2, verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    for name, value in model.predict([x, x > 0], verbose=0).items():
        np.testing.assert_array_equal(loaded.predict([x, x > 0], verbose=0)[name], value)
    before = loaded.layers[-1].get_weights()[0].copy()
    loaded.fit([x, x > 0], {"log_potentials": y}, verbose=0)
    assert np.abs(loaded.layers[-1].get_weights()[0] - before).max() > 0
    np.testing.assert_array_equal(loaded.layers[-1].constraints, BIO)


def test_symbolic_outputs_are_those_of_the_call():
    crf, logits, *_ = random_crf()
    symbolic = crf(keras.Input((None, 4)))
    for name, value in crf(logits).items():
        assert symbolic[name].dtype == value.dtype.name
        assert len(symbolic[name].shape) == len(value.shape)


def test_errors():
    with pytest.raises(ValueError, match="`num_tags` must be at least 1.*num_tags=0"):
        CRF(0)
    with pytest.raises(ValueError, match=r"shape \(num_tags \+ 2.*num_tags=3.*\(6, 6\)"):
        CRF(3, constraints=BIO)
    with pytest.raises(ValueError, match="at least one tag between start and end"):
        CRF(2, constraints=np.zeros((4, 4)))
    with pytest.raises(ValueError, match=r"num_tags=3, logits.shape=\(2, 5, 4\)"):
        CRF(3)(np.zeros((2, 5, 4), "float32"))
    with pytest.raises(ValueError, match=r"must be the `log_potentials`.*\(2, 5, 4\)"):
        CRFLoss()(np.zeros((2, 5)), np.zeros((2, 5, 4), "float32"))


def test_jax_backend_computes_the_same(tmp_path):
    crf, logits, mask, gold = random_crf(BIO)
    tape_input = tf.constant(logits)
    with tf.GradientTape() as tape:
        tape.watch(tape_input)
        likelihood = crf.log_likelihood(tape_input, gold, mask)
    arrays: dict[str, Any] = {f"arr_{i}": weight for i, weight in enumerate(crf.get_weights())}
    arrays |= {"logits": logits, "mask": mask, "gold": gold, "constraints": BIO}
    np.savez(tmp_path / "in.npz", **arrays)
    environment = {**os.environ, "KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu"}
    subprocess.run([sys.executable, "-c", JAX, str(tmp_path)], check=True, env=environment)
    found = np.load(tmp_path / "out.npz")
    np.testing.assert_allclose(found["likelihood"], likelihood, atol=1e-5)
    np.testing.assert_allclose(found["gradient"], tape.gradient(likelihood, tape_input), atol=1e-5)
    np.testing.assert_array_equal(found["tag_ids"], crf.decode(logits, mask)[0])
    np.testing.assert_allclose(found["probabilities"], crf.marginals(logits, mask), atol=1e-5)
    assert found["losses"][-1] < found["losses"][0]


JAX = """
import sys
import jax, keras, numpy as np
from polysemy.layers.crf import CRF
from polysemy.layers.crf_loss import CRFLoss
assert keras.backend.backend() == "jax"
data = dict(np.load(sys.argv[1] + "/in.npz"))
crf = CRF(4, constraints=data["constraints"])
crf.build((None, None, 4))
crf.set_weights([data["arr_0"], data["arr_1"], data["arr_2"]])
logits, mask, gold = data["logits"], data["mask"], data["gold"]
run = jax.jit(lambda x: crf.log_likelihood(x, gold, mask))
gradient = jax.grad(lambda x: run(x).sum())(logits)
outputs = jax.jit(lambda x: crf(x, padding_mask=mask))(logits)
tokens = keras.Input((4,), dtype="int32")
dense = keras.layers.Dense(4)(keras.layers.Embedding(5, 8, mask_zero=True)(tokens))
model = keras.Model(tokens, CRF(4)(dense)["log_potentials"])
model.compile(keras.optimizers.Adam(0.1), loss=CRFLoss())
losses = model.fit((gold + 1) * mask, gold, epochs=5, verbose=0).history["loss"]
np.savez(
    sys.argv[1] + "/out.npz", likelihood=run(logits), gradient=gradient, losses=losses,
    tag_ids=outputs["tag_ids"], probabilities=outputs["probabilities"],
)
"""
