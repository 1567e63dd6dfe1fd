import keras
import tensorflow as tf

from ..preprocessor import Preprocessor, batch_of_strings, listed_words, padding_mask
from ..text import packing
from ..text.word_piece import WordPiece
from ..text.word_piece_tokens import END, MASK, PADDING, START, UNKNOWN


@keras.saving.register_keras_serializable(package="polysemy")
class BertPreprocessor(Preprocessor):
    """Text, or pairs of texts, to what BERT reads: `[CLS] A [SEP]` or `[CLS] A [SEP] B [SEP]`.

    What is longer than `sequence_length`, or `max_length` without it, is cut: of a single text the
    end, of a pair the ends of both, so that what is left of them is about equally long.

    Outputs: `token_ids` (B, L) int32, `segment_ids` (B, L) int32, 1 at `B [SEP]`, and
    `padding_mask` (B, L) bool, True from [CLS] to the last [SEP].

    Shapes: B texts, L positions, W words.

    Args:
        vocabulary: list of str. See `WordPiece`.
        lowercase: bool. True for uncased vocabularies.
        max_length: int. Positions that the model has.
        sequence_length: int or None. Cut and pad every batch to this length; None pads to the
            longest text of the batch.
        specials: list of str. Further special tokens; see `WordPiece`.

    Example:
    >>> vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "cat", "##s"]
    >>> preprocessor = BertPreprocessor(vocabulary)
    >>> preprocessor(["Cats", "a"], ["a cat", ""])["token_ids"].numpy().tolist()
    [[2, 6, 7, 3, 5, 6, 3], [2, 5, 3, 3, 0, 0, 0]]

    Reference: [Devlin et al., 2018](https://arxiv.org/abs/1810.04805), section 3.
    """

    def __init__(
        self,
        vocabulary,
        lowercase=True,
        max_length=512,
        sequence_length=None,
        specials=(),
        name=None,
    ):
        super().__init__(sequence_length=sequence_length, name=name)
        if max_length < 3:
            raise ValueError(f"`max_length` must be at least 3. Received: max_length={max_length}")
        if sequence_length is not None and not 3 <= sequence_length <= max_length:
            raise ValueError(
                "`sequence_length` must be at least 3, for [CLS], a piece and [SEP], and at most "
                f"`max_length`. Received: sequence_length={sequence_length}, "
                f"max_length={max_length}"
            )
        self.max_length = max_length
        self.word_piece = WordPiece(vocabulary, lowercase, specials=specials)
        self.specials = list(specials)

    @property
    def vocabulary(self):
        """The list of pieces; the position is the id."""
        return self.word_piece.vocabulary.words

    @property
    def lowercase(self):
        return self.word_piece.lowercase

    def special_tokens(self):
        """The ids by the names that TF Hub's text API has for them, and `vocab_size`."""
        return {
            "vocab_size": len(self.vocabulary),
            "padding_id": self.word_piece.id_of(PADDING),
            "unknown_id": self.word_piece.id_of(UNKNOWN),
            "start_of_sequence_id": self.word_piece.id_of(START),
            "end_of_segment_id": self.word_piece.id_of(END),
            "mask_id": self.word_piece.id_of(MASK),
        }

    def tokenize_ids(self, sentences):
        """The pieces of each word: string (B,) or list of str -> ragged int32 (B, (W), (pieces)).

        What TF Hub's text API calls `tokenize`; `pack` goes on from here.
        """
        return self.word_piece(texts("sentences", sentences))

    def tokenize_with_offsets(self, sentences):
        """As `tokenize_ids`, and where in the text each piece begins and ends: `Pieces`, whose
        offsets count characters (code points).
        """
        return self.word_piece.with_offsets(texts("sentences", sentences))

    @tf.autograph.experimental.do_not_convert
    def pack(self, segments, sequence_length=None):
        """One or two segments to the model's inputs.

        Args:
            segments: list of one or two ragged int32 (B, (pieces)) or (B, (W), (pieces)).
            sequence_length: int or scalar tensor. Cuts and pads to this length; by default as the
                constructor says.

        Returns:
            dict: `token_ids`, `segment_ids`, `padding_mask`.
        """
        if len(segments) not in (1, 2):
            raise ValueError(f"`segments` must be one or two. Received: {len(segments)} segment(s)")
        special = self.special_tokens()
        segments, length = self.fit(segments, sequence_length)
        used = packing.lengths(segments)
        if length is None:
            # A batch of no texts is as wide as one of empty texts: models read position 0.
            empty = tf.constant([1 + len(segments)], tf.int64)
            length = tf.cast(tf.reduce_max(tf.concat([used, empty], 0)), tf.int32)
        ids = packing.join(
            segments,
            special["start_of_sequence_id"],
            [special["end_of_segment_id"]] * len(segments),
            special["padding_id"],
            length,
        )
        return {
            "token_ids": ids,
            "segment_ids": packing.segment_ids(segments, length),
            "padding_mask": tf.sequence_mask(used, tf.shape(ids)[1]),
        }

    def fit(self, segments, sequence_length=None):
        """The segments as (B, (pieces)), cut so that they fit, and the length to pad to or None."""
        length = self.sequence_length if sequence_length is None else sequence_length
        segments = [_flat(segment) for segment in segments]
        room = (self.max_length if length is None else length) - 1 - len(segments)
        return packing.trim(segments, room), length

    @tf.autograph.experimental.do_not_convert
    def __call__(self, sentences, pairs=None):
        """Encodes texts, or pairs of texts, one of each: string (B,) or list of str -> dict.

        Raises:
            ValueError: they are no batches, or not one of each; in a graph that knows the numbers
                only when it runs, `tf.errors.InvalidArgumentError`.
        """
        sentences = texts("sentences", sentences)
        if pairs is None:
            return self.pack([self.word_piece(sentences)])
        sentences, pairs = one_of_each(sentences=sentences, pairs=texts("pairs", pairs))
        return self.pack([self.word_piece(sentences), self.word_piece(pairs)])

    @tf.autograph.experimental.do_not_convert
    def tokens(self, tokens):
        """Encodes texts that are split into words already; each word is cut into pieces by itself.

        Args:
            tokens: string (B, W) padded on the right with "", or ragged (B, (W)), or list of lists
                of str.

        Returns:
            dict: the model's inputs, and `word_positions` (B, W) int32, where each word's first
            piece stands; 0, where [CLS] stands, at padding and of words that were cut off. A word
            without a piece, such as "" between others, is unknown.
        """
        words, width = _words(tokens)
        pieces = words.with_values(self._pieces_of_words(words.values))  # (B, (W), (pieces))
        inputs = self.pack([pieces])
        # Pieces before each word, of all rows; then of its own row alone.
        before = pieces.values.row_starts()
        of_row = tf.gather(pieces.values.row_splits, words.row_starts())
        positions = 1 + before - tf.gather(of_row, words.value_rowids())
        used = tf.reduce_sum(tf.cast(inputs["padding_mask"], tf.int64), axis=1)
        last = tf.gather(used, words.value_rowids()) - 1  # of [SEP]
        positions = tf.cast(tf.where(positions < last, positions, 0), tf.int32)
        positions = packing.pad(words.with_values(positions), 0, width)
        return {**inputs, "word_positions": positions}

    def _pieces_of_words(self, words):
        """(N,) string -> ragged int32 (N, (pieces)), at least one each."""
        pieces = self.word_piece(words).merge_dims(1, 2)
        empty = tf.equal(pieces.row_lengths(), 0)
        unknown = tf.fill(tf.shape(words), self.special_tokens()["unknown_id"])
        instead = tf.RaggedTensor.from_row_lengths(
            tf.boolean_mask(unknown, empty), tf.cast(empty, tf.int64)
        )
        return tf.concat([pieces, instead], axis=1)

    def encode(self, tokens):
        inputs = self.tokens(tokens)
        del inputs["padding_mask"]
        return inputs

    def get_config(self):
        return {
            **super().get_config(),
            "vocabulary": self.vocabulary,
            "lowercase": self.lowercase,
            "max_length": self.max_length,
            "specials": self.specials,
        }


def one_of_each(**batches):
    """Two batches of texts, by their arguments' names, if they are equally many.

    Args:
        **batches: string (B,), two of them.

    Returns:
        The two tensors; in a graph they wait for the check.

    Raises:
        ValueError: the numbers differ. `tf.errors.InvalidArgumentError` when a graph runs that did
            not know them before.
    """
    (first, second), (one, two) = batches, batches.values()
    rule = f"`{first}` and `{second}` must be equally many, one of each."
    if None not in (one.shape[0], two.shape[0]):
        if one.shape[0] != two.shape[0]:
            raise ValueError(f"{rule} Received: {one.shape[0]} {first}, {two.shape[0]} {second}")
        return one, two
    numbers = tf.size(one), tf.size(two)
    message = [f"{rule} Received: {first}, {second}", *numbers]
    with tf.control_dependencies([tf.debugging.Assert(tf.equal(*numbers), message)]):
        return tf.identity(one), tf.identity(two)


def texts(name, value):
    """A batch of texts as a string (B,) tensor.

    Raises:
        ValueError: `value` is one text, no text, or of another rank or an unknown one.
    """
    tensor = batch_of_strings(name, value, rank=1)
    if tensor.shape.rank is None:
        raise ValueError(f"`{name}` must have rank 1. Received: {name}.shape={tensor.shape}")
    return tensor


def _flat(segment):
    """A row of pieces for each text, whether they come word by word or not."""
    return segment.merge_dims(1, 2) if segment.ragged_rank == 2 else segment


def _words(tokens):
    """Words as ragged (B, (W)), and the width they shall be padded to or None."""
    tokens = listed_words(tokens)
    if isinstance(tokens, tf.RaggedTensor):
        return tokens.with_row_splits_dtype(tf.int64), None
    tokens = tf.convert_to_tensor(tokens, tf.string)
    if tokens.shape.rank != 2:
        raise ValueError(f"`tokens` must have rank 2. Received: tokens.shape={tokens.shape}")
    used = tf.reduce_sum(tf.cast(padding_mask(tokens), tf.int64), axis=1)
    return tf.RaggedTensor.from_tensor(tokens, used), tf.shape(tokens)[1]
