"""Targets that are no tags are refused where they are used."""

import numpy as np
import pytest
import tensorflow as tf

from polysemy import zoo


@pytest.mark.parametrize(
    ("tagger", "head", "eagerly"),
    [
        ("BertTagger", "softmax", False),
        ("BertTagger", "crf", True),
        ("Tagger", "softmax", True),
        ("Tagger", "crf", False),
    ],
)
def test_targets_that_are_no_tags(tagger, head, eagerly, make_bert):
    """A CRF would give them a great loss, a softmax on a GPU no number."""
    if tagger == "BertTagger":
        model = zoo.BertTagger(make_bert(num_layers=1), ["O", "B"], head=head)
    else:
        model = zoo.Tagger(
            None, ["O", "B"], character_filters=[(2, 3)], num_layers=1, hidden_dim=2, head=head
        )
    model.compile(run_eagerly=eagerly, jit_compile=False)
    inputs = model.preprocessor.tokens([["unaffable", "cats"], ["who"]])
    model.train_on_batch(inputs, np.array([[0, 1], [1, 9]]))  # a 9 at padding
    for wrong, found in ((2, "from, to.*0.*2"), (-1, "from, to.*-1.*1")):
        with pytest.raises(
            tf.errors.InvalidArgumentError, match=f"(?s)`y` must be ids of the 2 tags, .*{found}"
        ):
            model.train_on_batch(inputs, np.array([[0, wrong], [1, 0]]))
