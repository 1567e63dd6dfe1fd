"""The tagger's loss, constraints, precision and what it says of bad arguments."""

import itertools

import keras
import numpy as np
import pytest
from keras import ops

from polysemy.zoo.tagger.model import Tagger

SENTENCES = ["the cat sat", "the"]
LABELS = np.array([[0, 3, 4], [1, 0, 0]])


def crf_loss(crf, logits, labels, lengths, constraints):
    """The mean over sentences of the negative log-likelihood, by summing over all sequences."""
    transitions, start, end = (
        np.asarray(w, "float64")
        for w in (crf.transitions, crf.start_transitions, crf.end_transitions)
    )
    losses = []
    for scores, gold, length in zip(logits.astype("float64"), labels, lengths, strict=True):

        def score(path, scores=scores):
            total = start[path[0]] + end[path[-1]] + sum(scores[t, y] for t, y in enumerate(path))
            return total + sum(transitions[a, b] for a, b in itertools.pairwise(path))

        def allowed(path):
            steps = [(-2, path[0]), *itertools.pairwise(path), (path[-1], -1)]
            return all(constraints[a, b] for a, b in steps)

        paths = filter(allowed, itertools.product(range(scores.shape[-1]), repeat=length))
        every = np.logaddexp.reduce([score(path) for path in paths])
        losses.append(every - score(gold[:length].tolist()))
    return np.mean(losses)


def softmax_loss(logits, labels, lengths):
    """The mean over words of the cross entropy."""
    losses = [
        np.logaddexp.reduce(scores) - scores[tag]
        for row, tags, length in zip(logits.astype("float64"), labels, lengths, strict=True)
        for scores, tag in zip(row[:length], tags, strict=False)
    ]
    return np.mean(losses)


def penalty(tagger):
    return sum(
        tagger.mix_l2 * np.sum(np.square(m.weights_of_layers)) for m in tagger.mixes.values()
    )


@pytest.mark.parametrize("head", ["crf", "softmax"])
def test_no_sentences(make_tagger, head):
    tagger = make_tagger("table", head=head, scheme="BIO" if head == "crf" else None)
    some, none = (tagger(tagger.preprocessor(texts)) for texts in (SENTENCES, []))
    assert {name: (0, *y.shape[2:]) for name, y in some.items()} == {
        name: (y.shape[0], *y.shape[2:]) for name, y in none.items()
    }
    assert {name: y.dtype for name, y in some.items()} == {n: y.dtype for n, y in none.items()}


def test_something_must_stand_at_the_input(make_tagger):
    backbone = make_tagger("table").backbone
    with pytest.raises(ValueError, match="`words` or `character_filters` must be given where"):
        Tagger(backbone, ["O"], character_filters=None, encoder_at="first_lstm")


@pytest.mark.parametrize("head", ["crf", "softmax"])
def test_loss(make_tagger, tags, head):
    scheme = "BIO" if head == "crf" else None
    tagger = make_tagger("pieces", head=head, scheme=scheme, encoder_at="both", mix_l2=0.3)
    inputs = tagger.preprocessor(SENTENCES)
    logits = np.random.default_rng(0).normal(size=(2, 3, 5)).astype("float32")
    if head == "crf":
        expected = crf_loss(tagger.crf, logits, LABELS, (3, 1), tagger.crf.constraints)
    else:
        expected = softmax_loss(logits, LABELS, (3, 1))
    assert penalty(tagger) > 0.01
    for padding in (0, -1, 4):  # whatever stands there
        labels = np.where(inputs["padding_mask"], LABELS, padding)
        found = tagger.compute_loss(inputs, labels, {"logits": logits})
        assert float(found) == pytest.approx(expected + penalty(tagger), abs=1e-5)
    numbers = {name: x if "ids" in name else ops.cast(x, "int32") for name, x in inputs.items()}
    rows = [
        float(tagger.compute_loss(numbers, LABELS, {"logits": logits}, sample_weight=weights))
        for weights in np.eye(2)
    ]
    assert sum(rows) == pytest.approx(expected + 2 * penalty(tagger), abs=1e-5)
    assert rows[0] != pytest.approx(rows[1], abs=0.1)


def test_a_frozen_mix_has_no_penalty(make_tagger):
    tagger = make_tagger("pieces", encoder_training="frozen", mix_l2=0.3)
    assert tagger.losses == []


@pytest.mark.parametrize("scheme", ["BIO", "BIOES"])
def test_the_crf_keeps_the_rules_untrained(make_tagger, scheme):
    parts = scheme.replace("O", "")
    tags = ["O", *(f"{part}-{kind}" for kind in ("LOC", "PER") for part in parts)]
    tagger = make_tagger("none", tags=tags, scheme=scheme, num_layers=1)
    rng = np.random.default_rng(2)
    lengths = rng.integers(1, 12, size=40)
    logits = rng.normal(scale=5, size=(40, 12, len(tags))).astype("float32")
    outputs = tagger.crf(logits, padding_mask=np.arange(12) < lengths[:, None])
    changed = 0
    for row, length in enumerate(lengths):
        found = [tags[i] for i in outputs["tag_ids"].numpy()[row, :length]]
        changed += found != [tags[i] for i in logits[row, :length].argmax(-1)]
        for before, tag in itertools.pairwise(["O", *found, "O"]):
            part, _, kind = tag.partition("-")
            if part in ("I", "E"):
                assert before in (f"B-{kind}", f"I-{kind}"), found
            elif scheme == "BIOES":
                assert before[0] in "OES", found
    assert changed > 20  # the words' own scores break them


def test_softmax_head(make_tagger, arrays):
    tagger = make_tagger("none", head="softmax", scheme=None)
    assert tagger.crf is None
    outputs = arrays(tagger(tagger.preprocessor(SENTENCES)))
    logits = outputs["logits"].astype("float64")
    expected = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    np.testing.assert_allclose(outputs["probabilities"], expected, atol=1e-6)
    np.testing.assert_array_equal(outputs["tag_ids"], logits.argmax(-1))


def test_loss_falls_in_ten_steps():
    tagger = Tagger(
        None, ["O", "B-PER", "I-PER"], words=["the", "cat"], hidden_dim=4, num_layers=1,
        character_filters=None, dropout=0.1, scheme="BIO",
    )  # fmt: skip
    inputs = {name: x.numpy() for name, x in tagger.preprocessor(SENTENCES).items()}
    tagger.compile(keras.optimizers.Adam(0.05), jit_compile=False)
    labels = np.array([[0, 1, 2], [0, 0, 0]])
    history = tagger.fit(inputs, labels, epochs=10, verbose=0, shuffle=False)
    losses = history.history["loss"]
    assert losses[-1] < 0.6 * losses[0]
    # Keras evaluates by the same loss, without dropout.
    assert tagger.evaluate(inputs, labels, verbose=0) < losses[0]


def test_mixed_precision(make_tagger, arrays):
    plain = make_tagger("elmo", encoder_at="both")
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        half = make_tagger("elmo", encoder_at="both")
        assert half.get_layer("lstm_0").compute_dtype == "bfloat16"
        assert half.crf.compute_dtype == "float32"
        inputs = half.preprocessor(SENTENCES)
        found = arrays(half(inputs))
        half.compile(keras.optimizers.SGD(0.1), run_eagerly=True)
        assert np.isfinite(half.train_on_batch(inputs, LABELS))
    finally:
        keras.config.set_dtype_policy("float32")
    expected = arrays(plain(inputs))
    for name in ("logits", "probabilities"):
        assert found[name].dtype == "float32"
        np.testing.assert_allclose(found[name], expected[name], atol=0.1)
    assert {w.dtype for w in half.trainable_weights} == {"float32"}


def test_half_precision_of_one_tagger_alone(make_tagger):
    """`dtype` reaches every layer of the tagger; its config keeps it."""
    tagger = make_tagger("pieces", dtype="mixed_bfloat16", num_layers=1)
    policies = {
        layer.name: layer.compute_dtype for layer in tagger.layers if layer.name != "pieces"
    }
    for name in ("word_embedding", "character_cnn", "gather_words", "input_mix", "lstm_0"):
        assert policies[name] == "bfloat16", name
    assert policies["crf"] == policies["scores"] == "float32"
    again = Tagger.from_config(tagger.get_config())
    assert again.get_layer("lstm_0").compute_dtype == "bfloat16"


def test_served_strings(make_tagger, tags):
    tagger = make_tagger("none")
    inputs = tagger.preprocessor(SENTENCES)
    outputs = tagger(inputs)
    tokens = tagger.preprocessor.tokenize(SENTENCES).to_tensor("")
    served = tagger.serving_outputs(outputs, {**inputs, "tokens": tokens})
    assert set(served) == {"tokens", "tags", "probabilities"}
    assert served["tokens"].numpy().tolist() == [[b"the", b"cat", b"sat"], [b"the", b"", b""]]
    for row, length in enumerate((3, 1)):
        ids = outputs["tag_ids"].numpy()[row, :length]
        names = served["tags"].numpy()[row]
        assert names.tolist() == [tags[i].encode() for i in ids] + [b""] * (3 - length)
        best = outputs["probabilities"].numpy()[row, np.arange(length), ids]
        np.testing.assert_allclose(served["probabilities"][row, :length], best)
    assert not served["probabilities"].numpy()[1, 1:].any()


def test_config_is_json_and_rebuilds(make_tagger):
    import json

    config = json.loads(json.dumps(make_tagger("table", encoder_at="first_lstm").get_config()))
    assert Tagger.from_config(config).get_config() == config


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"encoder_training": "all"}, "`encoder_training` must be one of.*Received.*'all'"),
        ({"encoder_layers": "last"}, "`encoder_layers` must be one of.*mix.*top.*'last'"),
        ({"encoder_at": "output"}, "`encoder_at` must be one of.*first_lstm.*'output'"),
        ({"head": "linear"}, "`head` must be one of.*crf.*softmax.*'linear'"),
        ({"num_layers": 0}, "`num_layers` must be at least 1. Received: num_layers=0"),
        ({"tags": []}, "`tags` must be distinct names, at least one. Received: tags=\\[\\]"),
        ({"tags": ["O", "O"]}, "`tags` must be distinct names.*\\['O', 'O'\\]"),
        ({"scheme": "IOB9"}, "`scheme` must be"),
        ({"scheme": "BIO", "head": "softmax"}, "`scheme` must be None.*softmax.*'BIO'"),
        ({"words": None, "character_filters": None}, "One of `backbone`, `words` and"),
        ({"backbone": "elmo_tiny_en"}, "`backbone` must be a Backbone or None.*'elmo_tiny_en'"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        Tagger(**{"backbone": None, "tags": ["O", "B-X"], "words": ["a"], **arguments})
