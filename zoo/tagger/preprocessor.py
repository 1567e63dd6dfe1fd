import keras
import tensorflow as tf

from ..preprocessor import Preprocessor
from ..preset import import_classes
from ..text.characters import character_ids
from ..text.vocabulary import Vocabulary

# With a space in front, as no word of a text has: "<unk>" may be a word, and in WikiText is one.
PADDING, UNKNOWN = " pad", " unknown"


@keras.saving.register_keras_serializable(package="polysemy")
class TaggerPreprocessor(Preprocessor):
    """Words to what a `Tagger` reads: word ids, characters, and the inputs of its encoder.

    Outputs: `word_ids` (B, L) int32 if there is a vocabulary, `character_ids` (B, L, C) int32,
    `padding_mask` (B, L) bool; the encoder's inputs under their names with `encoder_` before.

    Args:
        words: list of str or None. Known words, lower-cased. All others share one id.
        encoder: `Preprocessor` of the encoder, or None.
        max_characters: int. C.
        sequence_length: int or None.

    Example:
    >>> preprocessor = TaggerPreprocessor(words=["the", "cat"])
    >>> preprocessor(["The dog", "cat"])["word_ids"].numpy().tolist()
    [[2, 1], [3, 0]]
    """

    def __init__(
        self, words=None, encoder=None, max_characters=50, sequence_length=None, name=None
    ):
        super().__init__(sequence_length=sequence_length, name=name)
        self.words = None if words is None else list(words)
        self.encoder = encoder
        self.max_characters = max_characters
        if self.words is not None:
            self.vocabulary = Vocabulary([PADDING, UNKNOWN, *self.words], unknown=UNKNOWN)

    def encode(self, tokens):
        inputs = {"character_ids": character_ids(tokens, self.max_characters)}
        if self.words is not None:
            # The CNN over characters sees the case; a word vector serves all spellings.
            ids = self.vocabulary(tf.strings.lower(tokens, encoding="utf-8"))
            inputs["word_ids"] = tf.where(tf.equal(tokens, ""), 0, ids)
        if self.encoder is not None:
            for name, value in self.encoder.tokens(tokens).items():
                inputs[f"encoder_{name}"] = value
        return inputs

    def get_config(self):
        return {
            **super().get_config(),
            "words": self.words,
            "encoder": self.encoder and keras.saving.serialize_keras_object(self.encoder),
            "max_characters": self.max_characters,
        }

    @classmethod
    def from_config(cls, config):
        config = dict(config)
        if config.get("encoder"):
            import_classes(config["encoder"])
            config["encoder"] = keras.saving.deserialize_keras_object(config["encoder"])
        return cls(**config)
