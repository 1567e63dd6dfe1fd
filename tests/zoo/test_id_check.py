"""Targets that are no tags or classes are refused where they are used."""

import numpy as np
import pytest
import tensorflow as tf

from polysemy import zoo
from polysemy.zoo.id_check import checked_ids

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "cat"]


@pytest.mark.parametrize(
    ("tagger", "head", "eagerly"),
    [
        ("BertTagger", "softmax", False),
        ("BertTagger", "crf", True),
        ("Tagger", "softmax", True),
        ("Tagger", "crf", False),
    ],
)
def test_targets_that_are_no_tags(tagger, head, eagerly):
    """A CRF would give them a great loss, a softmax on a GPU no number."""
    if tagger == "BertTagger":
        bert = zoo.Bert(WORDS, num_layers=1, num_heads=2, hidden_dim=4)
        model = zoo.BertTagger(bert, ["O", "B"], head=head)
    else:
        model = zoo.Tagger(
            None, ["O", "B"], character_filters=[(2, 3)], num_layers=1, hidden_dim=2, head=head
        )
    model.compile(run_eagerly=eagerly, jit_compile=False)
    inputs = model.preprocessor.tokens([["a", "cat"], ["a"]])
    model.train_on_batch(inputs, np.array([[0, 1], [1, 9]]))  # a 9 at padding
    for wrong, found in ((2, "from, to.*0.*2"), (-1, "from, to.*-1.*1")):
        with pytest.raises(
            tf.errors.InvalidArgumentError, match=f"(?s)`y` must be ids of the 2 tags, .*{found}"
        ):
            model.train_on_batch(inputs, np.array([[0, wrong], [1, 0]]))


def test_targets_have_a_shape():
    mask = np.ones((2, 3), bool)
    for y, found in ((np.zeros((2, 2)), r"\(2, 2\)"), (np.zeros(2), r"\(2,\)")):
        rule = rf"`y` must be ids of the 2 tags, of shape \(2, 3\). Received: y.shape={found}"
        with pytest.raises(ValueError, match=rule):
            checked_ids(y, 2, "tags", mask)
    with pytest.raises(ValueError, match=r"of the 2 classes, of shape \(None,\). .*=\(4, 2\)"):
        checked_ids(np.zeros((4, 2)), 2, "classes")
    with pytest.raises(ValueError, match="of the 2 classes. Received: y={'logits': "):
        checked_ids({"logits": np.zeros(4)}, 2, "classes")
    for y in (np.ones(4), np.ones((4, 1))):
        assert checked_ids(y, 2, "classes").shape == y.shape
    with pytest.raises(tf.errors.InvalidArgumentError, match="of the 2 classes, from 0 on"):
        checked_ids(np.array([1, 2]), 2, "classes")
