import keras
import tensorflow as tf

from ..preprocessor import Preprocessor, listed_words
from ..preset import import_classes


@keras.saving.register_keras_serializable(package="polysemy")
class BertTaggerPreprocessor(Preprocessor):
    """Words to what a `BertTagger` reads: pieces, and where each word's first piece stands.

    Sentences are split at white space. Outputs: the encoder's, `word_positions` (B, W) int32 and
    `word_mask` (B, W) bool.

    Args:
        encoder: `Preprocessor` whose `tokens` gives `word_positions`, such as `BertPreprocessor`.

    Example:
    >>> from polysemy.zoo.bert.preprocessor import BertPreprocessor
    >>> words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "jordan", "sleep", "##s"]
    >>> inputs = BertTaggerPreprocessor(BertPreprocessor(words))(["Jordan sleeps", "sleep"])
    >>> inputs["word_positions"].numpy().tolist(), inputs["word_mask"].numpy().tolist()
    ([[1, 2], [1, 0]], [[True, True], [True, False]])
    """

    def __init__(self, encoder, name=None):
        super().__init__(name=name)
        self.encoder = encoder

    @tf.autograph.experimental.do_not_convert
    def tokens(self, tokens):
        """Encodes words: string (B, W) padded with "", ragged (B, (W)) or lists of lists of str.

        Every row is padded to one word at least. See `BertPreprocessor.tokens`.
        """
        inputs = self.encoder.tokens(self.pad(listed_words(tokens)))
        # Only [CLS] stands at 0: words that were cut off and padding have that position.
        return {**inputs, "word_mask": inputs["word_positions"] > 0}

    def get_config(self):
        return {"encoder": keras.saving.serialize_keras_object(self.encoder)}

    @classmethod
    def from_config(cls, config):
        import_classes(config["encoder"])
        return cls(keras.saving.deserialize_keras_object(config["encoder"]))
