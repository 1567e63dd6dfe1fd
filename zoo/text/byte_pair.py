import shutil
import tempfile
import weakref
from pathlib import Path

import tensorflow as tf

from .byte_pair_files import BYTE_SYMBOLS, END_OF_TEXT

# White space as Unicode has it; RE2's `\s` is ASCII's only.
_SPACE = r"\t\n\v\f\r \x{85}\x{a0}\x{1680}\x{2000}-\x{200a}\x{2028}\x{2029}\x{202f}\x{205f}\x{3000}"
# GPT-2 splits by 's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+ .
# RE2 has no look-ahead: a run of white space is cut before its last character first, where
# something follows; then the rest of the pattern is enough.
_LAST_SPACE = rf"([{_SPACE}]+)([{_SPACE}][^{_SPACE}])"
_PIECE = (
    r"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+"
    rf"| ?[^{_SPACE}\p{{L}}\p{{N}}]+|[{_SPACE}]+)"
)
_CUT = b"\xff"  # in no UTF-8 text
_NONE = tf.int64.max  # the rank of a pair that is not merged


class BytePair(tf.Module):
    """Byte-level byte-pair encoding (BPE) in TensorFlow's graph: text to ids and back.

    Text is split into words with their leading space, digits, other symbols and white space; then,
    in each piece, the pair of neighbors that was learned first is joined, again and again. Every
    text can be encoded, since single bytes are tokens. Ids equal those of OpenAI's and Hugging
    Face's GPT-2 tokenizers. Bytes that are no UTF-8 are read as U+FFFD.

    Both tables leave with a SavedModel as assets.

    Shapes: B texts, L tokens.

    Args:
        vocabulary: list of str, distinct. Tokens in the order of ids, bytes as the printable
            characters `BYTE_SYMBOLS`; all of these must be in it.
        merges: list of str. "left right", best first.
        specials: tuple of str. Tokens that are found in text before it is split, and stand for
            themselves, the longest where some begin alike. `()` reads them as plain text, as
            OpenAI's program does.

    Example:
    >>> from .byte_pair_files import vocabulary_of_merges
    >>> merges = ["t h", "th e", "Ġ the"]
    >>> tokenizer = BytePair(vocabulary_of_merges(merges), merges)
    >>> ids = tokenizer(["the the"])
    >>> [tokenizer.vocabulary[i] for i in ids[0].numpy()]
    ['the', 'Ġthe']
    >>> tokenizer.decode(ids).numpy().tolist()
    [b'the the']

    Reference: [Radford et al., 2019](https://openai.com/index/better-language-models/), section
    2.2; [Sennrich et al., 2016](https://arxiv.org/abs/1508.07909).
    """

    def __init__(self, vocabulary, merges, specials=(END_OF_TEXT,), name=None):
        super().__init__(name=name)
        self.vocabulary = [str(token) for token in vocabulary]
        self.merges = [str(merge) for merge in merges]
        self.specials = tuple(specials)
        ids = {token: i for i, token in enumerate(self.vocabulary)}
        _check(self.vocabulary, self.merges, self.specials, ids)

        size = len(self.vocabulary)
        pairs = []
        for rank, merge in enumerate(self.merges):
            left, right = merge.split(" ")
            # One number for a pair, one for its rank and what it makes: the least is the best.
            pairs.append(f"{ids[left] * size + ids[right]}\t{rank * size + ids[left + right]}")
        # TensorFlow reads the files now and copies them at export: they live as long as the object.
        folder = tempfile.mkdtemp(prefix="polysemy-byte-pairs-")
        weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
        self.pair_initializer = _table(
            Path(folder) / "byte_pairs.tsv", pairs or ["-1\t-1"], tf.int64, 0, tf.int64, 1
        )
        self.pairs = tf.lookup.StaticHashTable(self.pair_initializer, default_value=_NONE)
        self.token_initializer = _table(
            Path(folder) / "tokens.txt",
            [_escaped(token, self.specials) for token in self.vocabulary],
            tf.int64,
            tf.lookup.TextFileIndex.LINE_NUMBER,
            tf.string,
            tf.lookup.TextFileIndex.WHOLE_LINE,
        )
        self.tokens = tf.lookup.StaticHashTable(self.token_initializer, default_value="")
        self._size = size
        self._byte_ids = [ids[symbol] for symbol in BYTE_SYMBOLS]
        self._special_ids = [ids[token] for token in self.specials]

    def __len__(self):
        return len(self.vocabulary)

    def __call__(self, texts):
        """Encodes texts: string (B,) or list of str -> ragged int32 (B, (L))."""
        return self._encode(tf.convert_to_tensor(texts, dtype=tf.string))

    def split(self, texts):
        """Splits texts into the pieces that are encoded apart: string (B,) -> ragged (B, (P))."""
        texts = tf.strings.unicode_transcode(texts, "UTF-8", "UTF-8")  # mends what is no UTF-8
        if self.specials:
            # Of tokens that begin alike the longest.
            longest_first = sorted(self.specials, key=len, reverse=True)
            any_special = "|".join(rf"\Q{special}\E" for special in longest_first)
            texts = tf.strings.regex_replace(texts, f"({any_special})", _CUT + rb"\1" + _CUT)
        parts = tf.strings.split(texts, _CUT)
        parts = _cut(parts, _LAST_SPACE, rb"\1" + _CUT + rb"\2", keep=self.specials)
        parts = _cut(parts, _PIECE, rb"\1" + _CUT, keep=self.specials)
        return tf.ragged.boolean_mask(parts, parts != "")

    def decode(self, token_ids, errors="replace", skip_specials=False):
        """Turns ids back into text.

        Args:
            token_ids: int (B, L), or ragged (B, (L)). Negative ids stand for nothing.
            errors: "replace" puts U+FFFD where the bytes are no UTF-8, such as a character that is
                cut at the end; "keep" hands out the bytes as they are.
            skip_specials: bool. Leave the special tokens out.

        Returns:
            string (B,).
        """
        if errors not in ("replace", "keep"):
            raise ValueError(f'`errors` must be "replace" or "keep". Received: errors={errors!r}')
        if not isinstance(token_ids, tf.RaggedTensor):
            token_ids = tf.RaggedTensor.from_tensor(tf.cast(token_ids, tf.int64))
        token_ids = tf.cast(token_ids, tf.int64)
        symbols = self.tokens.lookup(token_ids.flat_values)
        if skip_specials:
            special = _is_one_of(token_ids.flat_values, self._special_ids)
            symbols = tf.where(special, "", symbols)
        symbols = tf.strings.reduce_join(token_ids.with_values(symbols), axis=1)
        codes = tf.strings.unicode_decode(symbols, "UTF-8")
        byte_of = [255] * 0x200
        for byte, symbol in enumerate(BYTE_SYMBOLS):
            byte_of[ord(symbol)] = byte
        single = tf.constant([bytes([byte]) for byte in byte_of])
        texts = tf.strings.reduce_join(
            codes.with_values(tf.gather(single, codes.flat_values)), axis=1
        )
        if errors == "replace":
            texts = tf.strings.unicode_transcode(texts, "UTF-8", "UTF-8")
        return texts

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string)], autograph=False)
    def _encode(self, texts):
        pieces = self.split(texts)
        words, index = tf.unique(pieces.flat_values)
        special = tf.fill(tf.shape(words), tf.constant(-1, tf.int64))
        for token, token_id in zip(self.specials, self._special_ids, strict=True):
            special = tf.where(words == token, tf.constant(token_id, tf.int64), special)
        # A special word is one symbol, which nothing joins.
        words = tf.where(special >= 0, "\0", words)
        lengths = tf.strings.length(words)
        values = tf.io.decode_raw(tf.strings.reduce_join(words), tf.uint8)
        symbols = tf.gather(tf.constant(self._byte_ids, tf.int64), tf.cast(values, tf.int32))
        word = tf.repeat(tf.range(tf.size(words)), lengths)
        of_word = tf.gather(special, word)
        symbols, word = self._merge(tf.where(of_word >= 0, of_word, symbols), word)
        tokens = tf.RaggedTensor.from_value_rowids(
            tf.cast(symbols, tf.int32), word, nrows=tf.size(words), validate=False
        ).with_row_splits_dtype(tf.int64)
        return pieces.with_values(tf.gather(tokens, index)).merge_dims(1, 2)

    def _merge(self, symbols, word):
        """Joins pairs in all words side by side: int64 (N,) ids and int32 (N,) words, sorted."""

        def body(symbols, word, _):
            keys = symbols[:-1] * self._size + symbols[1:]
            found = tf.where(word[:-1] == word[1:], self.pairs.lookup(keys), _NONE)
            found = tf.concat([found, tf.fill([1], _NONE)], axis=0)
            best = tf.math.segment_min(found, word)
            chosen = (found == tf.gather(best, word)) & (found < _NONE)
            joined = chosen & (_place_in_run(chosen) % 2 == 0)  # of a-a-a the first two only
            symbols = tf.where(joined, found % self._size, symbols)
            kept = ~tf.concat([[False], joined[:-1]], axis=0)
            symbols, word = tf.boolean_mask(symbols, kept), tf.boolean_mask(word, kept)
            return symbols, word, tf.reduce_any(chosen)

        symbols, word, _ = tf.while_loop(
            lambda symbols, word, more: more,
            body,
            (symbols, word, tf.size(symbols) > 0),
            shape_invariants=(
                tf.TensorShape([None]),
                tf.TensorShape([None]),
                tf.TensorShape([]),
            ),
        )
        return symbols, word


def _place_in_run(chosen):
    """How many True stand directly before each place: bool (N,) -> int32 (N,), where it is True."""
    run = tf.cumsum(tf.cast(~chosen, tf.int32))  # a run goes with the False before it
    place = tf.range(tf.size(chosen))
    first = tf.gather(tf.math.segment_min(place, run), run)
    return place - first - tf.cast(run > 0, tf.int32)


def _cut(parts, pattern, rewrite, keep):
    """Puts cuts into ragged strings (B, (P)) and splits there; pieces in `keep` stay whole."""
    flat = parts.flat_values
    kept = _is_one_of(flat, keep)
    flat = tf.where(kept, flat, tf.strings.regex_replace(flat, pattern, rewrite))
    return parts.with_values(tf.strings.split(flat, _CUT)).merge_dims(1, 2)


def _is_one_of(values, few):
    found = tf.zeros(tf.shape(values), tf.bool)
    for one in few:
        found |= values == one
    return found


def _table(path, lines, key_dtype, key_index, value_dtype, value_index):
    path.write_bytes(("\n".join(lines) + "\n").encode("utf-8"))
    return tf.lookup.TextFileInitializer(
        str(path), key_dtype, key_index, value_dtype, value_index, vocab_size=len(lines)
    )


def _escaped(token, specials):
    """A special token is plain text: its bytes' symbols are what `decode` turns into it."""
    if token in specials:
        return "".join(BYTE_SYMBOLS[byte] for byte in token.encode("utf-8"))
    return token


def _check(vocabulary, merges, specials, ids):
    if len(ids) < len(vocabulary):
        double = next(token for i, token in enumerate(vocabulary) if ids[token] != i)
        raise ValueError(f"`vocabulary` must hold each token once. Received twice: {double!r}")
    symbols = set(BYTE_SYMBOLS)
    odd = [t for t in vocabulary if t not in specials and not (t and set(t) <= symbols)]
    if odd:
        raise ValueError(
            "`vocabulary` must be made of BYTE_SYMBOLS; other tokens must be among `specials`. "
            f"Received: {odd[:5]}"
        )
    missing = [symbol for symbol in BYTE_SYMBOLS if symbol not in ids]
    if missing:
        raise ValueError(
            f"`vocabulary` must hold all 256 bytes. Received: one without {missing[:5]}"
        )
    missing = [token for token in specials if token not in ids]
    if missing:
        raise ValueError(f"`specials` must be in `vocabulary`. Received: {missing}")
    for merge in merges:
        parts = merge.split(" ")
        if len(parts) != 2 or not {*parts, "".join(parts)} <= ids.keys():
            raise ValueError(
                "`merges` must be pairs of tokens that make a third, all in `vocabulary`. "
                f"Received: {merge!r}"
            )
