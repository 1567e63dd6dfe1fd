"""What callers give to models: first mistakes are answered by what is wrong."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from polysemy import zoo
from polysemy.zoo.given import check_targets, distinct_names, holds_text

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "cat"]


@pytest.fixture
def bert():
    return zoo.Bert(WORDS, num_layers=1, num_heads=2, hidden_dim=4)


def test_text_is_known_in_every_form():
    objects = np.array(["a", "b"], object)
    symbol = keras.Input((), dtype="string")
    for text in ("a", b"a", ["a"], [["a"], []], np.array(["a"]), objects, tf.constant("a"), symbol):
        assert holds_text(text)
    for other in (None, [], 1, [[1.0]], np.zeros(2), np.array([None]), tf.zeros(2), {"a": ["a"]}):
        assert not holds_text(other)


@pytest.mark.parametrize(
    "call",
    [
        lambda model, x: model(x),
        lambda model, x: model.predict(x),
        lambda model, x: model.fit(x, np.array([0])),
        lambda model, x: model.evaluate(np.array(x)),
    ],
)
def test_texts_are_no_inputs(call, bert):
    model = zoo.BertTextClassifier(bert, num_classes=2)
    rule = r"must be what the model's `preprocessor` makes of texts. Received: .*\['a cat'"
    with pytest.raises(ValueError, match=rule):
        call(model, ["a cat"])


@pytest.mark.parametrize(
    ("y", "found"),
    [
        ([0, 1], r"y=\[0, 1\]"),
        ([[0], [1, 0]], r"y=\[\[0\], \[1, 0\]\]"),
        (np.array(["neg"]), r"y=array\(\['neg'\]"),
        ({"start": np.zeros(1), "end": 1}, "y={'end': 1"),
    ],
)
def test_targets_are_arrays_of_numbers(y, found):
    with pytest.raises(ValueError, match=f"`y` must be an array or a tensor of numbers.*{found}"):
        check_targets(y)
    check_targets({"start": np.zeros(1), "end": tf.zeros(1)})


def test_fit_after_a_fit_that_failed(bert):
    model = zoo.BertTextClassifier(bert, num_classes=2)
    model.compile("sgd", jit_compile=False)
    inputs = model.preprocessor(["a cat"])
    for y in (np.eye(2)[[0]], None):
        with pytest.raises(ValueError, match="`y` must be ids of the 2 classes"):
            model.fit(inputs, y, verbose=0)
    assert model.fit(inputs, np.array([1]), verbose=0).history["loss"][0] > 0


def test_names_are_a_list_of_distinct_strings(bert):
    assert distinct_names("labels", ("no", "yes")) == ["no", "yes"]
    for wrong in ("no", [], ["no", "no"], [0, 1]):
        with pytest.raises(ValueError, match="`labels` must be distinct names.*Received: labels="):
            zoo.BertTextClassifier(bert, labels=wrong)
    for tagger in (zoo.BertTagger, zoo.Tagger):
        with pytest.raises(ValueError, match="`tags` must be distinct names.*tags='OBI'"):
            tagger(bert, tags="OBI")


def test_a_name_is_no_backbone():
    heads = (
        *(zoo.BertFeatures, zoo.BertMaskedLM, zoo.BertPretrainer, zoo.BertSpanQA),
        *(zoo.BertTextClassifier, zoo.GPT2CausalLM),
        lambda backbone: zoo.BertTagger(backbone, ["O"]),
        lambda backbone: zoo.ElmoLM(backbone, ["a"]),
        lambda backbone: zoo.Tagger(backbone, ["O"]),
    )
    for head in heads:
        with pytest.raises(ValueError, match="`backbone` must be a .*'minilm_l6_en'"):
            head("minilm_l6_en")
