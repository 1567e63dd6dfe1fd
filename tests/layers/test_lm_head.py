import keras
import numpy as np
import pytest
import tensorflow as tf

from polysemy.layers.lm_head import LMHead

WORDS = 12


def random_case(randomize, dim=4, **settings):
    head = LMHead(WORDS, **settings)
    head.build((None, None, dim))
    randomize(head)
    rng = np.random.default_rng(0)
    x = rng.normal(size=(3, 5, dim)).astype("float32")
    return head, x, rng.integers(0, WORDS, (3, 5)).astype("int32")


def formula(head, x, targets):
    """Logits and losses of the full softmax in float64."""
    kernel, bias = (w.astype("float64") for w in head.get_weights())
    logits = x.astype("float64") @ kernel.T + bias
    log_total = np.log(np.exp(logits).sum(axis=-1))
    return logits, log_total - np.take_along_axis(logits, targets[..., None], -1)[..., 0]


def gradients(head, x, targets, training):
    x = tf.constant(x)
    with tf.GradientTape() as tape:
        tape.watch(x)
        loss = tf.reduce_sum(head(x, targets, training=training))
    sources = [x, *(w.value for w in head.trainable_weights)]
    return [tf.convert_to_tensor(g) for g in tape.gradient(loss, sources)]


@pytest.mark.parametrize("targets", [False, True])
def test_layer(check_layer, targets):
    rng = np.random.default_rng(0)
    inputs = {"inputs": rng.normal(size=(3, 5, 4)).astype("float32")}
    if targets:
        inputs["targets"] = rng.integers(0, WORDS, (3, 5)).astype("int32")
    shape = (3, 5) if targets else (3, 5, WORDS)
    config = {"vocabulary_size": WORDS, "num_sampled": 4, "seed": 1}
    check_layer(LMHead, config, inputs, shape, num_weights=2, compute_dtype_outputs=False)


def test_sampled_layer(check_layer):
    rng = np.random.default_rng(0)
    check_layer(
        LMHead,
        {"vocabulary_size": WORDS, "num_sampled": WORDS},  # draws all: no chance in it
        {
            "inputs": rng.normal(size=(3, 5, 4)).astype("float32"),
            "targets": rng.integers(0, WORDS, (3, 5)).astype("int32"),
        },
        (3, 5),
        num_weights=2,
        compute_dtype_outputs=False,
        training=True,
    )


def test_formula(randomize):
    head, x, targets = random_case(randomize, num_sampled=3)
    logits, losses = formula(head, x, targets)
    np.testing.assert_allclose(head(x), logits, atol=1e-5)
    np.testing.assert_allclose(head(x, targets), losses, atol=1e-5)
    np.testing.assert_allclose(LMHead.from_config(head.get_config())(x).shape, logits.shape)


def test_scores_are_in_float32(randomize):
    head, x, targets = random_case(randomize, dtype="mixed_bfloat16")
    assert head(x).dtype == head(x, targets).dtype == "float32"


@pytest.mark.parametrize("training", [False, True])
def test_without_sampling_training_changes_nothing(randomize, training):
    head, x, targets = random_case(randomize)
    np.testing.assert_allclose(
        head(x, targets, training=training), formula(head, x, targets)[1], atol=1e-5
    )


def test_draw_of_all_words_is_the_full_softmax(randomize):
    head, x, targets = random_case(randomize, num_sampled=WORDS)
    sampled = head(x, targets, training=True)
    np.testing.assert_allclose(sampled, formula(head, x, targets)[1], atol=1e-5)
    for one, other in zip(
        gradients(head, x, targets, True), gradients(head, x, targets, False), strict=True
    ):
        np.testing.assert_allclose(one, other, atol=1e-5)


@pytest.mark.parametrize("seed", range(3))
def test_sampled_formula(randomize, seed):
    """One known draw: corrected scores, the target counted once whether it was drawn or not."""
    head, x, targets = random_case(randomize, num_sampled=5, seed=seed)
    again, *_ = random_case(randomize, num_sampled=5, seed=seed)
    drawn = set(np.array(again.sampler()).tolist())
    logits, _ = formula(head, x, targets)
    logits -= np.array(head.sampler.log_expected_count(np.arange(WORDS)))
    expected = np.zeros(targets.shape)
    for i in np.ndindex(targets.shape):
        words = sorted(drawn | {int(targets[i])})
        expected[i] = np.log(np.exp(logits[i][words]).sum()) - logits[i][targets[i]]
    hits = np.isin(targets, list(drawn))
    assert hits.any() and not hits.all()
    np.testing.assert_allclose(head(x, targets, training=True), expected, atol=1e-5)


def test_sampled_gradient_is_the_full_one_on_average(randomize):
    words, draws = 100, 600
    head = LMHead(words, num_sampled=60, seed=3)
    head.build((None, None, 4))
    randomize(head)
    rng = np.random.default_rng(0)
    x = rng.normal(size=(3, 5, 4)).astype("float32")
    targets = rng.integers(0, words, (3, 5)).astype("int32")
    full = gradients(head, x, targets, training=False)

    def distances():
        """Of the mean of many draws, and of one draw, from the full gradient."""
        many = tf.function(
            lambda: tf.map_fn(
                lambda draw: gradients(head, x, targets, training=True),
                tf.zeros(draws),
                fn_output_signature=[tf.float32] * 3,
            )
        )
        return [
            [
                np.linalg.norm(g - expected) / np.linalg.norm(expected)
                for g in (np.mean(each, 0), each[0])
            ]
            for each, expected in zip(many(), full, strict=True)
        ]

    # The softmax of a sample is not quite unbiased, neither here nor in TensorFlow's own function.
    corrected = distances()
    assert all(mean < 0.04 and single > 0.1 for mean, single in corrected)
    # Frequent words are drawn more often: without the correction they would count too much.
    head.sampler.log_expected_count = lambda ids: tf.zeros(tf.shape(ids))
    for (mean, _), (uncorrected, _) in zip(corrected, distances(), strict=True):
        assert uncorrected > 1.5 * mean


def test_sampled_loss_follows_the_seed(randomize):
    def losses():
        head, x, targets = random_case(randomize, num_sampled=3, seed=4)
        head.set_weights([np.ones((WORDS, 4)) * np.arange(WORDS)[:, None], np.zeros(WORDS)])
        return [np.array(head(x, targets, training=True)) for _ in range(2)]

    (first, second), (again, _) = losses(), losses()
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - second).max() > 0


def tied_model():
    token_ids = keras.Input((None,), dtype="int32", name="token_ids")
    embedding = keras.layers.Embedding(WORDS, 4, name="embedding")
    head = LMHead(WORDS, tie_to=embedding, name="head")
    return keras.Model(token_ids, head(embedding(token_ids)))


def test_tied_head_scores_by_the_embedding():
    model = tied_model()
    head, embedding = model.get_layer("head"), model.get_layer("embedding")
    assert len(model.weights) == 2  # the embedding and the bias
    table = np.random.default_rng(0).normal(size=(WORDS, 4)).astype("float32")
    bias = np.arange(WORDS, dtype="float32")
    embedding.set_weights([table])
    head.bias.assign(bias)
    ids = np.array([[1, 2, 3]])
    np.testing.assert_allclose(model(ids), table[ids] @ table.T + bias, atol=1e-5)


def test_tied_head_stays_tied_when_saved(tmp_path):
    model = tied_model()
    model.get_layer("head").bias.assign(np.arange(WORDS))
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    ids = np.array([[1, 2, 3]])
    np.testing.assert_allclose(loaded(ids), model(ids), atol=1e-6)
    assert loaded.get_layer("head").tie_to is loaded.get_layer("embedding")
    assert len(loaded.weights) == 2


def test_tied_head_alone():
    head = LMHead(WORDS, num_sampled=3, tie_to=keras.layers.Embedding(WORDS, 4))
    assert head(np.ones((2, 4), "float32")).shape == (2, WORDS)
    assert np.isfinite(head(np.ones((2, 4)), np.array([1, 2]), training=True)).all()


def test_no_position():
    head = LMHead(WORDS, num_sampled=3)
    x, targets = np.zeros((0, 5, 4), "float32"), np.zeros((0, 5), "int32")
    assert head(x).shape == (0, 5, WORDS)
    for training in (False, True):
        assert head(x, targets, training=training).shape == (0, 5)


def test_arguments_are_checked():
    with pytest.raises(ValueError, match="`num_sampled` must be between .* num_sampled=13, range"):
        LMHead(WORDS, num_sampled=13)
    with pytest.raises(ValueError, match=r"`tie_to` must have .* tie_to of shape \(12, 3\)"):
        LMHead(WORDS, tie_to=keras.layers.Embedding(WORDS, 3))(np.ones((2, 4)))
    with pytest.raises(ValueError, match="`vocabulary_size` must be at least 1. Received: vocabul"):
        LMHead(0)
