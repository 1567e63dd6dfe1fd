import keras
import tensorflow as tf

from ..preprocessor import Preprocessor, padding_mask
from ..text.byte_pair import BytePair
from ..text.byte_pair_files import END_OF_TEXT


@keras.saving.register_keras_serializable(package="polysemy")
class GPT2Preprocessor(Preprocessor):
    """Text to `token_ids` (B, L) int32 and `padding_mask` (B, L) bool, by byte-level BPE.

    Nothing is put around the text. Called with sentences it splits them by itself; `tokens` takes
    sentences that are split into words, joins them by single spaces, and says by `word_positions`
    (B, W) which token is each word's last: it has seen the whole word.

    Args:
        vocabulary, merges: see `BytePair`.
        specials: list of str. Tokens that are found in text as they stand, beside `end`.
        end: str or None. The special token that ends a document, id `end_id`; padding has its id,
            too. None if the vocabulary has none; padding then has id 0.
        sequence_length: int or None. Cut and pad to this many tokens; None pads to the longest text
            of the batch.
        max_length: int or None. Positions that the model has: a longer text loses its end; None
            keeps it all.

    Example:
    >>> from ..text.byte_pair_files import vocabulary_of_merges
    >>> merges = ["t h", "th e", "Ġ the"]
    >>> preprocessor = GPT2Preprocessor(vocabulary_of_merges(merges), merges)
    >>> preprocessor(["the the", ""])["padding_mask"].numpy().tolist()
    [[True, True], [False, False]]
    """

    def __init__(
        self,
        vocabulary,
        merges,
        end=END_OF_TEXT,
        sequence_length=None,
        max_length=None,
        specials=(),
        name=None,
    ):
        super().__init__(sequence_length=sequence_length, name=name)
        if max_length is not None and not 1 <= (sequence_length or 1) <= max_length:
            raise ValueError(
                "`max_length` must be at least 1 and at least `sequence_length`. Received: "
                f"max_length={max_length}, sequence_length={sequence_length}"
            )
        self.max_length = max_length
        self.vocabulary = list(vocabulary)
        self.merges = list(merges)
        self.end = end if end in set(self.vocabulary) else None
        self.specials = [token for token in specials if token != self.end]
        own = () if self.end is None else (self.end,)
        self.byte_pair = BytePair(self.vocabulary, self.merges, (*own, *self.specials))
        self.end_id = None if self.end is None else self.vocabulary.index(self.end)

    def tokenize(self, sentences):
        """The tokens as they stand in the vocabulary: string (B,) -> ragged string (B, (L))."""
        ids = tf.cast(self.byte_pair(sentences), tf.int64)
        return ids.with_values(self.byte_pair.tokens.lookup(ids.flat_values))

    def __call__(self, sentences):
        if isinstance(sentences, (str, bytes)):
            raise ValueError(
                "`sentences` must be a batch, a list or a tensor of rank 1. "
                f"Received: sentences={sentences!r}"
            )
        return self._padded(self.byte_pair(sentences))

    def tokens(self, tokens):
        if isinstance(tokens, (list, tuple)):
            tokens = tf.ragged.constant(tokens, dtype=tf.string, ragged_rank=1)
        if isinstance(tokens, tf.RaggedTensor):
            tokens = tokens.to_tensor(default_value="")
        word_mask = padding_mask(tokens)  # (B, W)
        first = tf.range(tf.shape(tokens)[1]) == 0
        words = tf.where(first, tokens, tf.strings.join([" ", tokens]))
        pieces = self.byte_pair(tf.reshape(tf.where(word_mask, words, ""), [-1]))
        batch_size, width = tf.unstack(tf.cast(tf.shape(tokens), tf.int64))
        counts = tf.reshape(pieces.row_lengths(), [batch_size, width])
        ids = pieces.with_row_splits_dtype(tf.int64)
        ids = tf.RaggedTensor.from_row_lengths(ids.flat_values, tf.reduce_sum(counts, axis=1))
        inputs = self._padded(ids)
        last = tf.cast(tf.maximum(tf.cumsum(counts, axis=1) - 1, 0), tf.int32)
        last = tf.minimum(last, tf.shape(inputs["token_ids"])[1] - 1)
        return {**inputs, "word_positions": tf.where(word_mask, last, 0)}

    def prompts(self, texts):
        """Texts to continue: string (B,) -> ragged int32 (B, (L)), uncut.

        An empty one is what stands before a document: the end of another.
        """
        ids = self.byte_pair(texts)
        if self.end_id is None:
            return ids
        end = tf.cast(ids.row_lengths() == 0, tf.int64)
        begin = tf.RaggedTensor.from_row_lengths(
            tf.fill([tf.reduce_sum(end)], tf.constant(self.end_id, tf.int32)), end
        )
        return tf.concat([begin, ids], axis=1)

    def decode(self, token_ids, **arguments):
        """Ids to text; see `BytePair.decode`."""
        return self.byte_pair.decode(token_ids, **arguments)

    def _padded(self, ids):
        length = self.sequence_length
        most = self.max_length if length is None else length
        if most is not None:
            ids = ids[:, :most]
        mask = tf.sequence_mask(ids.row_lengths())
        ids = ids.to_tensor(0 if self.end_id is None else self.end_id)
        # One position at least: a graph cannot take the last of none.
        width = tf.maximum(tf.shape(ids)[1], 1) if length is None else length
        rest = [[0, 0], [0, width - tf.shape(ids)[1]]]
        ids = tf.pad(ids, rest, constant_values=0 if self.end_id is None else self.end_id)
        mask = tf.pad(mask, rest)
        return {
            "token_ids": tf.ensure_shape(ids, (None, length)),
            "padding_mask": tf.ensure_shape(mask, (None, length)),
        }

    def get_config(self):
        return {
            **super().get_config(),
            "vocabulary": self.vocabulary,
            "merges": self.merges,
            "end": self.end,
            "specials": self.specials,
            "max_length": self.max_length,
        }
