import keras
import tensorflow as tf

from .preprocessor import BertPreprocessor


@keras.saving.register_keras_serializable(package="polysemy")
class BertMaskedPreprocessor(BertPreprocessor):
    """As `BertPreprocessor`, and `mask_positions` (B, P) int32: where "[MASK]" stands in each text.

    P is the most of any text, at least 1; slots left over hold 0, the position of [CLS].

    Args:
        vocabulary, lowercase, max_length, sequence_length, specials: see `BertPreprocessor`.

    Example:
    >>> words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "cat"]
    >>> BertMaskedPreprocessor(words)(["a [MASK] cat", "a"])["mask_positions"].numpy().tolist()
    [[2], [0]]
    """

    @tf.autograph.experimental.do_not_convert
    def pack(self, segments, sequence_length=None):
        inputs = super().pack(segments, sequence_length)
        masked = tf.equal(inputs["token_ids"], self.special_tokens()["mask_id"])
        positions = tf.where(masked)
        rows = tf.RaggedTensor.from_value_rowids(
            tf.cast(positions[:, 1], tf.int32), positions[:, 0], nrows=tf.shape(masked, tf.int64)[0]
        )
        positions = rows.to_tensor(0)
        missing = tf.maximum(1 - tf.shape(positions)[1], 0)
        return {**inputs, "mask_positions": tf.pad(positions, [[0, 0], [0, missing]])}
