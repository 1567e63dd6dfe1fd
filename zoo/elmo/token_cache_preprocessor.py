import keras
import tensorflow as tf

from ..preprocessor import Preprocessor
from ..text.vocabulary import Vocabulary

UNKNOWN = "<UNK>"


@keras.saving.register_keras_serializable(package="polysemy")
class TokenCachePreprocessor(Preprocessor):
    """Text to `token_ids` (B, L) int32 in a fixed vocabulary and `padding_mask` (B, L) bool.

    Args:
        vocabulary: list of str, "<UNK>" among them; every other word gets its id.
        sequence_length: int or None. Cut and pad to this many tokens.

    Example:
    >>> inputs = TokenCachePreprocessor(["<UNK>", "a", "cat"])(["a cat", "the"])
    >>> inputs["token_ids"].numpy().tolist(), inputs["padding_mask"].numpy().tolist()
    ([[1, 2], [0, 0]], [[True, True], [True, False]])
    """

    def __init__(self, vocabulary, sequence_length=None, name=None):
        super().__init__(sequence_length=sequence_length, name=name)
        self.vocabulary = Vocabulary(vocabulary, unknown=UNKNOWN)

    def encode(self, tokens):
        ids = self.vocabulary(tokens)
        return {"token_ids": tf.where(tf.equal(tokens, ""), 0, ids)}

    def get_config(self):
        return {**super().get_config(), "vocabulary": self.vocabulary.words}
