"""Which outputs of a signature are vectors of lines."""

import pytest
import tensorflow as tf

pytest.importorskip("apache_beam")

from polysemy.serving.beam.handler import SavedModelHandler  # noqa: E402
from polysemy.serving.beam.shard import Shard  # noqa: E402

SHARD = Shard("/x.txt", 0, 1, (b"aa", b"b", b"ccc"))
TEXT = [tf.TensorSpec([None], tf.string, "sentences")]


class Classifier(tf.Module):
    """Beside what it says of each sentence, what it says of itself."""

    @tf.function(input_signature=TEXT)
    def classify(self, sentences):
        classes = tf.constant(["NEG", "NEUTRAL", "POS", "MIXED"])
        return {"lengths": tf.strings.length(sentences), "classes": classes, "v": tf.constant("1")}

    @tf.function(input_signature=TEXT)
    def about(self, sentences):
        return {"v": tf.constant(1), "count": tf.size(sentences)}

    @tf.function(input_signature=TEXT)
    def hidden(self, sentences):  # how many rows is known only when it runs
        return {"classes": tf.range(tf.where(tf.size(sentences) > 0, 4, 0))}


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    path = str(tmp_path_factory.mktemp("model") / "1")
    module = Classifier()
    names = ("classify", "about", "hidden")
    tf.saved_model.save(module, path, {name: getattr(module, name) for name in names})
    return path


def test_only_rows_of_lines_are_kept(model):
    handler = SavedModelHandler(model, "classify")
    (result,) = handler.run_inference([SHARD], handler.load_model())
    assert [row.outputs for row in result.rows] == [{"lengths": 2}, {"lengths": 1}, {"lengths": 3}]
    assert result.kinds == {"lengths": ("int32", 0)}


def test_outputs_without_rows_are_refused(model):
    rule = "`outputs` must be of those with a row for each line"
    with pytest.raises(ValueError, match=rf"{rule}, \['lengths'\]. Received: classes, v$"):
        SavedModelHandler(model, "classify", outputs=["v", "lengths", "classes"]).load_model()
    with pytest.raises(ValueError, match=rf"{rule}, \[\]. Received: count, v$"):
        SavedModelHandler(model, "about").load_model()
    handler = SavedModelHandler(model, "hidden")
    with pytest.raises(ValueError, match=rf"{rule}. Received: classes, of shape \(4,\) for 3 l"):
        list(handler.run_inference([SHARD], handler.load_model()))
