import keras
import tensorflow as tf

from ..preprocessor import Preprocessor, padding_mask
from ..text.character_constants import BEGIN_SENTENCE, END_SENTENCE, boundary_row
from ..text.characters import character_ids
from ..text.vocabulary import Vocabulary
from .lm import BEGIN, END, UNKNOWN


@keras.saving.register_keras_serializable(package="polysemy")
class ElmoLMPreprocessor(Preprocessor):
    """Words to characters and to the ids that a language model predicts.

    Called on sentences it gives `character_ids`, `targets` and their reverse, one sentence a row.
    `rows` encodes rows that were packed already.

    Args:
        vocabulary: list of str, "<UNK>" among them.
        max_characters: int. See `ElmoPreprocessor`.
        sequence_length: int or None. Words of a sentence that are kept.

    Example:
    >>> preprocessor = ElmoLMPreprocessor(["<S>", "</S>", "<UNK>", "a", "cat"])
    >>> inputs = preprocessor(["a cat", "a"])
    >>> inputs["targets"].numpy().tolist(), inputs["reverse_targets"].numpy().tolist()
    ([[3, 4, 1], [3, 1, -1]], [[4, 3, 0], [3, 0, -1]])
    """

    def __init__(self, vocabulary, max_characters=50, sequence_length=None, name=None):
        super().__init__(sequence_length=sequence_length, name=name)
        self.vocabulary = Vocabulary(vocabulary, unknown=UNKNOWN)
        self.max_characters = max_characters

    def rows(self, tokens, targets):
        """Encodes packed rows: string (B, T) words and the words that follow, "" where none is.

        Returns:
            dict of `character_ids` (B, T, C) and `targets` (B, T), both int32. "<S>" and "</S>" get
            the characters of a boundary.
        """
        tokens, targets = tf.convert_to_tensor(tokens), tf.convert_to_tensor(targets)
        ids = character_ids(tokens, self.max_characters)
        for word, boundary in ((BEGIN, BEGIN_SENTENCE), (END, END_SENTENCE)):
            row = tf.constant(boundary_row(boundary, self.max_characters))
            ids = tf.where(tf.equal(tokens, word)[..., None], row, ids)
        words = tf.where(tf.equal(targets, ""), -1, self.vocabulary(targets))
        return {"character_ids": ids, "targets": words}

    def both(self, tokens, targets, reverse_tokens, reverse_targets):
        """Encodes packed rows of both directions to the inputs of `ElmoLM`."""
        backward = self.rows(reverse_tokens, reverse_targets)
        return {
            **self.rows(tokens, targets),
            **{f"reverse_{name}": value for name, value in backward.items()},
        }

    def tokens(self, tokens):
        if isinstance(tokens, (list, tuple)):
            tokens = tf.ragged.constant(tokens, dtype=tf.string, ragged_rank=1)
        tokens = self.pad(tokens)
        lengths = tf.reduce_sum(tf.cast(padding_mask(tokens), tf.int32), axis=1)
        reverse = tf.reverse_sequence(tokens, lengths, seq_axis=1, batch_axis=0)
        return self.both(
            *_with_boundaries(tokens, lengths, BEGIN, END),
            *_with_boundaries(reverse, lengths, END, BEGIN),
        )

    def get_config(self):
        return {
            **super().get_config(),
            "vocabulary": self.vocabulary.words,
            "max_characters": self.max_characters,
        }


def _with_boundaries(tokens, lengths, first, last):
    """Inputs [first, words] and targets [words, last] of one direction, (B, L + 1) each."""
    inputs = tf.pad(tokens, [[0, 0], [1, 0]], constant_values=first)
    targets = tf.pad(tokens, [[0, 0], [0, 1]], constant_values="")
    position = tf.range(tf.shape(targets)[1])[None, :]
    return inputs, tf.where(position == lengths[:, None], last, targets)
