from typing import NamedTuple

import tensorflow as tf
import tensorflow_text as tf_text

from .vocabulary import Vocabulary
from .word_piece_characters import DROP, LETTER, SPACE, character_table
from .word_piece_tokens import SPECIAL, UNKNOWN


class Pieces(NamedTuple):
    """Word pieces of N texts and where they come from; each is ragged (N, (words), (pieces)).

    Attributes:
        ids: int32.
        starts: int64. The piece's first character in its text, counted in code points.
        ends: int64. The character behind its last one.
    """

    ids: tf.RaggedTensor
    starts: tf.RaggedTensor
    ends: tf.RaggedTensor


class WordPiece(tf.Module):
    """Text to BERT's word pieces, in TensorFlow's graph, as Hugging Face's `BertTokenizer` does.

    Control characters disappear; white space, punctuation and ideographs end words; the uncased
    model's letters are made small and lose their accents. Each word is then cut greedily into the
    longest pieces of the vocabulary, those within a word with "##" in front; a word that cannot be,
    or is longer than 100 characters, is unknown. "[MASK]" and the other special tokens are found
    in the text as they are written, the longest where some begin alike.

    Args:
        vocabulary: list of str. The position is the id. "[PAD]", "[UNK]", "[CLS]", "[SEP]" and
            "[MASK]" among them.
        lowercase: bool. True for uncased vocabularies.
        max_characters: int. Longer words are unknown.
        specials: list of str. Further special tokens, all in the vocabulary. None may begin within
            another one.

    Example:
    >>> tokenizer = WordPiece([*SPECIAL, "em", "##bed", "##ding", "!"])
    >>> tokenizer(["Embedding! [MASK]"]).to_list()
    [[[5, 6, 7], [8], [4]]]

    Reference: [Devlin et al., 2018](https://arxiv.org/abs/1810.04805), section 3; the algorithm is
    that of google-research/bert's `tokenization.py`.
    """

    def __init__(self, vocabulary, lowercase=True, max_characters=100, specials=(), name=None):
        super().__init__(name=name)
        vocabulary = [str(piece) for piece in vocabulary]
        missing = [piece for piece in SPECIAL if piece not in set(vocabulary)]
        if missing:
            raise ValueError(
                f"`vocabulary` must hold {', '.join(SPECIAL)}. Received: {len(vocabulary)} pieces "
                f"without {', '.join(missing)}"
            )
        self.specials = (*SPECIAL, *(token for token in specials if token not in SPECIAL))
        _check_specials(self.specials, set(vocabulary))
        self.lowercase = lowercase
        self.max_characters = max_characters
        # A preprocessor is made on first use, which may be while a graph is traced.
        with tf.init_scope():
            self.vocabulary = Vocabulary(vocabulary, unknown=UNKNOWN)
            table = character_table(lowercase)
            # Tracked tensors, which all graphs of an export share.
            self._blocks = tf.constant(table.blocks)
            self._kinds = tf.constant(table.kinds.reshape(-1))
            self._letters = tf.constant(table.letters.reshape(-1, 3))
        # It counts bytes, at most 4 a character, where the published program counts characters.
        self._tokenizer = tf_text.WordpieceTokenizer(
            self.vocabulary.table,
            max_bytes_per_word=4 * max(max_characters, len(UNKNOWN)) + 1,
            token_out_type=tf.int32,
            unknown_token=UNKNOWN,
        )
        # Traced once for all graphs that use them, and without AutoGraph: there is nothing to
        # convert.
        traced = tf.function(input_signature=[tf.TensorSpec([None], tf.string)], autograph=False)
        self._traced_ids = traced(self._ids)
        self._traced_offsets = traced(self._offsets)

    def id_of(self, piece):
        """The id of a piece that is in the vocabulary."""
        return self.vocabulary.words.index(piece)

    def __call__(self, texts):
        """The ids of the pieces: string (N,) or list of str -> ragged int32 (N, (words), (pieces)).

        `.merge_dims(1, 2)` makes one row of them.
        """
        return self._traced_ids(tf.convert_to_tensor(texts, tf.string))

    def with_offsets(self, texts):
        """The same with the characters that each piece stands for: -> `Pieces`."""
        return Pieces(*self._traced_offsets(tf.convert_to_tensor(texts, tf.string)))

    def _ids(self, texts):
        words, _, _ = self._words(texts)
        return words.with_values(self._tokenizer.tokenize(words.values))

    def _offsets(self, texts):
        words, letters, places = self._words(texts)
        ids, starts, ends = self._tokenizer.tokenize_with_offsets(words.values)
        # Both count bytes from their word's beginning; letters are found by counting bytes, too.
        sizes = sum(tf.cast(letters.values >= least, tf.int64) for least in (0, 0x80, 0x800, 65536))
        bounds = tf.concat([[tf.constant(0, tf.int64)], tf.cumsum(sizes)], axis=0)
        word = ids.value_rowids()
        splits = tf.gather(bounds, letters.row_splits)  # (words + 1,) bytes
        begin, stop = tf.gather(splits, word), tf.gather(splits, word + 1)
        whole = tf.equal(ids.values, self.id_of(UNKNOWN))  # of a word that is unknown
        starts = tf.where(whole, begin, begin + starts.values)
        ends = tf.where(whole, stop, begin + ends.values)
        first = tf.searchsorted(bounds, starts, side="right") - 1
        last = tf.searchsorted(bounds, ends, side="left") - 1
        pieces = words.with_values(ids)
        return (
            pieces,
            pieces.with_flat_values(tf.gather(places, first)),
            pieces.with_flat_values(tf.gather(places, last) + 1),
        )

    def _words(self, texts):
        """(N,) string -> words as ragged string (N, (words)); their letters, ragged int32 (words,
        (letters)); the place of each letter in its text.
        """
        characters = tf.strings.unicode_decode(texts, "UTF-8")
        codes, row = characters.values, characters.value_rowids()
        place = tf.range(tf.size(codes, tf.int64)) - tf.gather(characters.row_starts(), row)
        at = tf.gather(self._blocks, codes // 256) * 256 + codes % 256
        kind = tf.gather(self._kinds, at)
        inside, begins = self._special(codes, row)
        kind = tf.where(inside, LETTER, kind)

        # What disappears does not separate: "a\0b" is one word.
        kept = tf.where(tf.not_equal(kind, DROP))[:, 0]
        codes, row, place, at, kind, inside, begins = (
            tf.gather(x, kept) for x in (codes, row, place, at, kind, inside, begins)
        )
        goes_on = tf.equal(row[1:], row[:-1])
        goes_on &= tf.equal(kind[:-1], LETTER) & tf.equal(kind[1:], LETTER)
        goes_on &= tf.equal(inside[1:], inside[:-1]) & ~begins[1:]
        goes_on = tf.concat([tf.zeros_like(inside[:1]), goes_on], axis=0)

        seen = tf.where(tf.not_equal(kind, SPACE))[:, 0]
        codes, row, place, at, inside, goes_on = (
            tf.gather(x, seen) for x in (codes, row, place, at, inside, goes_on)
        )
        word = tf.cumsum(tf.cast(~goes_on, tf.int64)) - 1
        row_of_word = tf.boolean_mask(row, ~goes_on)
        if self.lowercase:
            changes = tf.where(inside[:, None], 0, tf.gather(self._letters, at))
            codes = tf.pad(codes[:, None], [[0, 0], [0, 2]]) + changes  # up to 3 letters for one
            real = tf.where(codes > 0)
            codes = tf.gather_nd(codes, real)
            word, place = tf.gather(word, real[:, 0]), tf.gather(place, real[:, 0])
        count = tf.size(row_of_word, tf.int64)
        letters = tf.RaggedTensor.from_value_rowids(codes, word, nrows=count, validate=False)
        words = tf.strings.unicode_encode(letters, "UTF-8")
        words = tf.where(letters.row_lengths() > self.max_characters, UNKNOWN, words)
        rows = tf.size(texts, tf.int64)
        words = tf.RaggedTensor.from_value_rowids(words, row_of_word, nrows=rows, validate=False)
        return words, letters, place

    def _special(self, codes, row):
        """Which characters belong to a special token, and which of them are its first."""
        specials = self.specials
        size, longest = tf.size(codes), max(map(len, specials))
        lengths = tf.constant([len(token) for token in specials])
        tokens = tf.constant([[*map(ord, x), *[-1] * (longest - len(x))] for x in specials])
        first = tf.constant(sorted({ord(token[0]) for token in specials}))
        place = tf.where(tf.reduce_any(tf.equal(codes[:, None], first), axis=1))  # (P, 1)
        ahead = tf.gather(tf.pad(codes, [[0, longest]]), place + tf.range(longest, dtype=tf.int64))
        here = tf.reduce_all(tf.equal(ahead[:, None], tokens) | (tokens < 0), axis=2)  # (P, tokens)
        # A token ends in the text that it begins in.
        rows = tf.pad(row, [[0, longest]], constant_values=-1)
        ends = tf.gather(rows, place + tf.cast(lengths, tf.int64) - 1)
        here &= tf.equal(ends, tf.gather(row, place))
        found = tf.reduce_max(tf.where(here, lengths, 0), axis=1)  # (P,)
        found = tf.scatter_nd(place, found, tf.shape(codes, tf.int64))
        reaching = [tf.pad(found, [[i, 0]])[:size] > i for i in range(longest)]
        return tf.reduce_any(tf.stack(reaching), axis=0), found > 0


def _check_specials(specials, vocabulary):
    """Refuses special tokens that are unknown, or that could overlap in a text."""
    unknown = [token for token in specials if token not in vocabulary]
    if unknown:
        raise ValueError(f"`specials` must be in `vocabulary`. Received: {unknown}")
    for token in specials:
        for other in specials:
            within = [token[i:] for i in range(1, len(token))]
            if any(rest.startswith(other) or other.startswith(rest) for rest in within):
                raise ValueError(
                    "`specials` must not begin within one another. Received: "
                    f"{other!r} begins within {token!r}"
                )
