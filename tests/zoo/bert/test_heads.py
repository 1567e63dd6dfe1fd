"""BERT's heads: losses, training, saving, and what their served signatures answer."""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf

from polysemy import zoo
from polysemy.serving.signatures import ServedFunctions

TEXTS = ["the cat sat on the mat.", "who?", "unaffable cats"]
MASKED_TARGETS = {
    "mask_ids": np.array([[5, 6], [7, 0], [0, 0]]),
    "mask_weights": np.array([[1.0, 1.0], [1.0, 0.0], [0.0, 0.0]], "float32"),
}


def masked_inputs(model):
    positions = np.array([[1, 3], [1, 0], [0, 0]], "int32")
    inputs = model.preprocessor(TEXTS)
    return {**inputs, "mask_positions": tf.constant(positions)}


def qa_inputs(model):
    return model.preprocessor(["who?"] * 3, TEXTS)


CASES = {  # name: (model out of a backbone, inputs, targets)
    "masked": (lambda bert: zoo.BertMaskedLM(bert, top_k=3), masked_inputs, MASKED_TARGETS),
    "pretrainer": (
        zoo.BertPretrainer,
        masked_inputs,
        {**MASKED_TARGETS, "next_sentence": np.array([0, 1, 0])},
    ),
    "classifier": (
        lambda bert: zoo.BertTextClassifier(bert, labels=["no", "yes"]),
        lambda model: model.preprocessor(TEXTS),
        np.array([1, 0, 1]),
    ),
    "regression": (
        lambda bert: zoo.BertTextClassifier(bert, num_classes=1),
        lambda model: model.preprocessor(TEXTS, TEXTS[::-1]),
        np.array([0.5, 2.0, -1.0], "float32"),
    ),
    "tagger": (
        lambda bert: zoo.BertTagger(bert, ["O", "B-X", "I-X"]),
        lambda model: model.preprocessor(TEXTS),
        np.array([[0, 1, 2, 0, 0, 0], [1, 9, 9, 9, 9, 9], [0, 1, -7, 0, 0, 0]]),
    ),
    "crf": (
        lambda bert: zoo.BertTagger(bert, ["O", "B-X", "I-X"], head="crf", scheme="BIO"),
        lambda model: model.preprocessor(TEXTS),
        np.array([[0, 1, 2, 0, 0, 0], [1, 9, 9, 9, 9, 9], [0, 1, -7, 0, 0, 0]]),
    ),
    "spans": (
        zoo.BertSpanQA,
        qa_inputs,
        {"start": np.array([4, 0, 4]), "end": np.array([5, 0, 6])},
    ),
}


@pytest.fixture(params=CASES, ids=str)
def case(request, make_bert, fill_weights):
    make, make_inputs, targets = CASES[request.param]
    model = fill_weights(make(make_bert()))
    return model, make_inputs(model), targets


def test_training_config_and_preset(case, tmp_path):
    """The loss falls, every weight that is trained has a gradient, and what is saved is equal."""
    model, inputs, targets = case
    # Eager is faster for so little. Of a missing gradient Keras would warn.
    model.compile(optimizer=keras.optimizers.Adam(0.01), run_eagerly=True)
    y_pred = model(inputs)
    rows = [float(model.compute_loss(inputs, targets, y_pred, weights)) for weights in np.eye(3)]
    assert sum(rows) == pytest.approx(float(model.compute_loss(inputs, targets, y_pred)), rel=1e-5)
    assert rows[0] != pytest.approx(rows[2], rel=1e-3)
    losses = model.fit(inputs, targets, epochs=6, batch_size=3, verbose=0).history["loss"]
    assert losses[-1] < losses[0]
    model.save_to_preset(tmp_path / "preset")
    loaded = type(model).from_preset(tmp_path / "preset")
    assert loaded.get_config() == model.get_config() == json.loads(json.dumps(model.get_config()))
    expected, found = model(inputs), loaded(inputs)
    for name in expected:
        np.testing.assert_array_equal(expected[name], found[name])
    bert = zoo.Bert.from_preset(tmp_path / "preset")
    np.testing.assert_array_equal(
        bert.embeddings.token_embeddings, model.backbone.embeddings.token_embeddings
    )


def cross_entropy(logits, ids):
    logits = np.asarray(logits, "float64")
    sums = np.log(np.exp(logits).sum(axis=-1))
    return sums - np.take_along_axis(logits, np.asarray(ids)[..., None], axis=-1)[..., 0]


def loss_of(model, inputs, targets):
    return float(model.compute_loss(x=inputs, y=targets, y_pred=model(inputs)))


def test_losses(make_bert, fill_weights):
    """Against the formulas in float64."""
    made = {}
    for name, (make, make_inputs, targets) in CASES.items():
        if name != "crf":
            model = fill_weights(make(make_bert()))
            model.compile()
            inputs = make_inputs(model)
            made[name] = (model(inputs), targets, loss_of(model, inputs, targets), inputs)
    for name in ("masked", "pretrainer"):
        outputs, targets, loss, _ = made[name]
        weights = targets["mask_weights"]
        each = cross_entropy(outputs["logits"], targets["mask_ids"])
        expected = (each * weights).sum() / weights.sum()
        if name == "pretrainer":
            follows = cross_entropy(outputs["next_sentence_logits"], targets["next_sentence"])
            expected += follows.mean()
        assert loss == pytest.approx(expected, abs=1e-5)
    outputs, targets, loss, _ = made["classifier"]
    assert loss == pytest.approx(cross_entropy(outputs["logits"], targets).mean(), abs=1e-5)
    outputs, targets, loss, _ = made["regression"]
    squares = (np.asarray(outputs["logits"])[:, 0] - targets) ** 2
    assert loss == pytest.approx(squares.mean(), abs=1e-5)
    outputs, targets, loss, inputs = made["tagger"]
    mask = inputs["word_mask"].numpy()
    assert mask.sum(axis=1).tolist() == [6, 1, 2]
    each = cross_entropy(outputs["logits"], np.where(mask, targets, 0))
    assert loss == pytest.approx(each[mask].mean(), abs=1e-5)
    outputs, targets, loss, _ = made["spans"]
    each = [cross_entropy(outputs[f"{x}_logits"], targets[x]) for x in ("start", "end")]
    assert loss == pytest.approx(np.mean(each), abs=1e-5)


def test_weights_of_examples(make_bert):
    model = zoo.BertTextClassifier(make_bert(), num_classes=2)
    model.compile()
    outputs = {"logits": np.array([[2.0, 0.0], [0.0, 1.0]], "float32")}
    one = float(model.compute_loss(y=np.array([1, 0]), y_pred=outputs, sample_weight=[1.0, 0.0]))
    assert one == pytest.approx(cross_entropy(outputs["logits"], [1, 0])[0] / 2, abs=1e-6)


def test_tied_embeddings(make_bert):
    """The masked LM's output matrix is the token vectors: no second one, also after loading."""
    model = zoo.BertMaskedLM(make_bert(pooling=None))
    shapes = [tuple(v.shape) for v in model.weights]
    assert shapes.count((70, 8)) == 1
    before = model(masked_inputs(model))["logits"].numpy()
    table = model.backbone.embeddings.token_embeddings
    table.assign(
        keras.ops.convert_to_numpy(table) * np.where(np.arange(70) == 60, 3.0, 1.0)[:, None]
    )
    changed = np.abs(model(masked_inputs(model))["logits"].numpy() - before).max(axis=(0, 1)) > 1e-5
    assert np.flatnonzero(changed).tolist() == [60]


def test_tagger_ignores_padding_and_keeps_the_scheme(make_bert, fill_weights):
    model = fill_weights(zoo.BertTagger(make_bert(), ["O", "B-X", "I-X"], head="crf", scheme="BIO"))
    together = model(model.preprocessor(TEXTS))
    for row, text in enumerate(TEXTS):
        alone = model(model.preprocessor([text]))["tag_ids"].numpy()[0]
        assert together["tag_ids"].numpy()[row, : len(alone)].tolist() == alone.tolist()
        tags = [model.tags[i] for i in alone]
        assert all(a != "O" for a, b in zip(["O", *tags], tags, strict=False) if b == "I-X")


def test_first_pieces_are_tagged(make_bert, fill_weights):
    model = fill_weights(zoo.BertTagger(make_bert(), ["O", "B"]))
    inputs = model.preprocessor.tokens([["unaffable", "cats", "who"]])
    encoded = model.backbone({k: inputs[k] for k in model.backbone.input})["sequence_output"]
    logits = model.scores(tf.gather(encoded[0], [1, 4, 6]))
    np.testing.assert_allclose(model(inputs)["logits"][0], logits, atol=1e-5)


def test_bert_in_the_tagger(make_bert):
    """The foundation's tagger takes a BERT, all of its layers or some, frozen or not."""
    bert = make_bert(dropout=0.1)
    arguments = {"tags": ["O", "B"], "character_filters": None, "num_layers": 1, "hidden_dim": 4}
    for encoder, training in ((bert, "full"), (zoo.BertFeatures(bert, (-2, -1)), "frozen")):
        tagger = zoo.Tagger(encoder, encoder_training=training, head="softmax", **arguments)
        inputs = tagger.preprocessor.tokens([["unaffable", "cats"], ["who"]])
        assert inputs["encoder_word_positions"].numpy().tolist() == [[1, 4], [1, 0]]
        tagger.compile(optimizer="adam", run_eagerly=True)
        before = keras.ops.convert_to_numpy(bert.blocks[0].feed_forward.kernel)
        tagger.fit(inputs, np.array([[0, 1], [1, 0]]), verbose=0)
        after = keras.ops.convert_to_numpy(bert.blocks[0].feed_forward.kernel)
        assert (before == after).all() == (training == "frozen")


def test_no_rows(case):
    """Nothing in, nothing out: ids, text and each served signature."""
    model, inputs, _ = case
    for name, value in model({k: v[:0] for k, v in inputs.items()}).items():
        assert value.shape == (0, *model(inputs)[name].shape[1:])
    none = tf.zeros([0], tf.string)
    assert {x.shape[0] for x in model(model.preprocessor(none)).values()} == {0}
    assert {x.shape[0] for x in ServedFunctions(model).text(none).values()} == {0}
    for signature in getattr(model, "serving_signatures", dict)().values():
        texts = {name: none for name, x in signature["inputs"].items() if x.dtype == tf.string}
        rest = {name: tf.constant(3) for name in signature["inputs"] if name not in texts}
        found = signature["function"](**texts, **rest)
        assert found and {x.shape[0] for x in found.values()} == {0}


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda b: zoo.BertTextClassifier(b), "`num_classes` must be at least 1"),
        (
            lambda b: zoo.BertTextClassifier(b, 3, ["a"]),
            "`num_classes` must be the number of `labe",
        ),
        (lambda b: zoo.BertTextClassifier(b, labels=["a", "a"]), "`labels` must be distinct"),
        (lambda b: zoo.BertTagger(b, ["O"], head="hmm"), '`head` must be "softmax" or "crf"'),
        (lambda b: zoo.BertTagger(b, ["O"], scheme="BIO"), "`scheme` must be None without a CRF"),
        (lambda b: zoo.BertTagger(zoo.Elmo.from_size("tiny"), ["O"]), "one that splits words"),
        (lambda b: zoo.BertMaskedLM(b, top_k=0), "`top_k` must be at least 1"),
        (lambda b: zoo.BertSpanQA(b, window_length=41), "`window_length` must be at most"),
        (lambda b: zoo.BertSpanQA(b, max_answer_length=0), "`max_answer_length` must be at least"),
    ],
)
def test_errors(make, message, make_bert):
    with pytest.raises(ValueError, match=message):
        make(make_bert())


def test_pretrainer_needs_a_pooler(make_bert):
    with pytest.raises(ValueError, match="must have pooling \"cls\".*pooling='mean'"):
        zoo.BertPretrainer(make_bert(pooling="mean"))


def served(model, name, **inputs):
    """Calls one of the model's own signatures."""
    signature = model.serving_signatures()[name]
    assert set(signature["inputs"]) == set(inputs)
    found = signature["function"](**{k: tf.constant(x) for k, x in inputs.items()})
    return {k: v.numpy() for k, v in found.items()}


def test_fill_mask(make_bert, fill_weights):
    """Text in, guesses out, as the model itself computes them."""
    model = fill_weights(zoo.BertMaskedLM(make_bert(vocabulary_size=80, num_layers=1), top_k=3))
    texts = ["the [MASK] sat", "[MASK] [MASK]", "who"]
    found = served(model, "fill_mask", sentences=texts, top_k=3)
    inputs = model.preprocessor(texts)
    assert inputs["mask_positions"].numpy().tolist() == [[2, 0], [1, 2], [0, 0]]
    logits = model(inputs)["logits"].numpy()[..., :70].astype("float64")  # of the vocabulary
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=-1, keepdims=True)
    order = np.argsort(-probabilities, axis=-1)[..., :3]
    masked = np.array([[True, False], [True, True], [False, False]])
    pieces = np.array(model.backbone.vocabulary)
    assert found["tokens"].astype(str)[masked].tolist() == pieces[order][masked].tolist()
    best = np.take_along_axis(probabilities, order, axis=-1)
    np.testing.assert_allclose(found["probabilities"][masked], best[masked], atol=1e-5)
    assert not found["probabilities"][~masked].any() and set(found["tokens"][~masked].flat) == {b""}
    default = ServedFunctions(model).text(tf.constant(texts))
    np.testing.assert_array_equal(default["tokens"], found["tokens"])
    fill_mask = model.serving_signatures()["fill_mask"]["function"]
    np.testing.assert_array_equal(fill_mask(tf.constant(texts))["tokens"], found["tokens"])
    with pytest.raises(tf.errors.InvalidArgumentError, match="`top_k` must be at least 1.*top_k ="):
        fill_mask(tf.constant(texts), tf.constant(0))


def test_served_ids_must_fit_the_positions(make_bert):
    served_ids = tf.function(ServedFunctions(zoo.BertMaskedLM(make_bert(num_layers=1))).ids)
    names = ("token_ids", "segment_ids", "mask_positions")
    specs = {name: tf.TensorSpec([None, None], tf.int32) for name in names}
    mask = tf.TensorSpec([None, None], tf.bool)
    ids = served_ids.get_concrete_function(**specs, padding_mask=mask)

    def call(length):
        zeros = {name: tf.zeros([1, length], tf.int32) for name in names}
        return ids(**zeros, padding_mask=tf.ones([1, length], tf.bool))

    assert call(40)["logits"].shape == (1, 40, 70)
    rule = "`token_ids` must have at most 40 columns, one for each position. Received:.*41"
    with pytest.raises(tf.errors.InvalidArgumentError, match=rule):
        call(41)


def test_labels_are_served(make_bert, fill_weights):
    model = fill_weights(zoo.BertTextClassifier(make_bert(), labels=["no", "yes"]))
    texts, pairs = ["the cat", "who"], ["sat", "unaffable mats"]
    found = served(model, "pairs", sentences=texts, pairs=pairs)
    probabilities = model(model.preprocessor(texts, pairs))["probabilities"].numpy()
    np.testing.assert_allclose(found["probabilities"], probabilities, atol=1e-6)
    assert found["labels"].tolist() == [[b"no", b"yes"]] * 2
    best = probabilities.argmax(axis=1)
    assert found["label"].astype(str).tolist() == [model.labels[i] for i in best]
    np.testing.assert_allclose(found["probability"], probabilities.max(axis=1), atol=1e-6)
    number = zoo.BertTextClassifier(make_bert(), num_classes=1)
    assert list(served(number, "pairs", sentences=texts, pairs=pairs)) == ["score"]


def test_tags_are_served(make_bert, fill_weights):
    model = fill_weights(zoo.BertTagger(make_bert(), ["O", "B"]))
    inputs = model.preprocessor(["unaffable cats", "who"])
    tokens = tf.constant([["unaffable", "cats", "", "", "", "", ""], ["who"] + [""] * 6])
    outputs = model(inputs)
    found = model.serving_outputs(outputs, {**inputs, "tokens": tokens})
    assert found["tokens"].numpy().tolist() == [[b"unaffable", b"cats"], [b"who", b""]]
    tags = [[model.tags[i] for i in row] for row in outputs["tag_ids"].numpy()]
    assert found["tags"].numpy().astype(str).tolist() == [tags[0], [tags[1][0], ""]]
    assert found["probabilities"].numpy()[1, 1] == 0


def test_next_sentence_is_served(make_bert, fill_weights):
    model = fill_weights(zoo.BertPretrainer(make_bert()))
    found = served(model, "pairs", sentences=["the [MASK]"], pairs=["sat"])
    logits = model(model.preprocessor(["the [MASK]"], ["sat"]))["next_sentence_logits"].numpy()[0]
    follows = np.exp(logits[0]) / np.exp(logits).sum()
    np.testing.assert_allclose(found["next_sentence_probability"], [follows], atol=1e-6)
    assert found["tokens"].shape == (1, 1, 5)
