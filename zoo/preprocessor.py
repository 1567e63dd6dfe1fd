import reprlib

import keras
import tensorflow as tf


class Preprocessor(tf.Module):
    """Turns text into the numeric inputs of a model, in TensorFlow's graph.

    The same object feeds `tf.data` in training and the text-in signature in serving. A subclass
    implements `encode`; a subclass that does not split at white space also `tokenize`.

    Shapes: B sentences, L tokens.

    Args:
        sequence_length: int or None. Cut and pad every batch to this many tokens; None pads to the
            longest sentence of the batch.
    """

    def __init__(self, sequence_length=None, name=None):
        super().__init__(name=name)
        if sequence_length is not None and sequence_length < 1:
            raise ValueError(
                f"`sequence_length` must be at least 1. Received: sequence_length={sequence_length}"
            )
        self.sequence_length = sequence_length

    def tokenize(self, sentences):
        """Splits sentences at white space: string (B,) or list of str -> ragged string (B, (L))."""
        return tf.strings.split(batch_of_strings("sentences", sentences, rank=1))

    def encode(self, tokens):
        """Maps tokens to ids: string (B, L), "" at padding -> dict of tensors without the mask."""
        raise NotImplementedError(f"{type(self).__name__} must implement `encode`")

    def tokens(self, tokens):
        """Encodes sentences that are already split into words.

        Args:
            tokens: string (B, L) padded on the right with "", or ragged (B, (L)), or list of
                lists of str.

        Returns:
            dict of tensors: the model's inputs, `padding_mask` (B, L) bool among them.
        """
        tokens = self.pad(listed_words(tokens))
        return {**self.encode(tokens), "padding_mask": padding_mask(tokens)}

    def pad(self, tokens):
        """The tokens as a dense string (B, L) tensor, cut to `sequence_length` if it is set."""
        length = self.sequence_length
        if isinstance(tokens, tf.RaggedTensor):
            tokens = tokens.to_tensor(default_value="")
        tokens = batch_of_strings("tokens", tokens, rank=2)
        if length is None:
            # One padded position at least: recurrent layers cannot run over no step at all.
            missing = tf.maximum(1 - tf.shape(tokens)[1], 0)
            return tf.pad(tokens, [[0, 0], [0, missing]], constant_values="")
        tokens = tokens[:, :length]
        tokens = tf.pad(tokens, [[0, 0], [0, length - tf.shape(tokens)[1]]], constant_values="")
        return tf.ensure_shape(tokens, (None, length))

    def __call__(self, sentences):
        """Encodes sentences: string (B,) or list of str -> dict of tensors, the model's inputs."""
        return self.tokens(self.tokenize(sentences))

    def get_config(self):
        return {"sequence_length": self.sequence_length}

    @classmethod
    def from_config(cls, config):
        return cls(**config)


def listed_words(tokens):
    """Lists of words as a ragged string (B, (W)) tensor; whatever is no list is handed back.

    Raises:
        ValueError: it is one string, a list of strings, or there are other things in the lists.
    """
    if not isinstance(tokens, (list, tuple, str, bytes)):
        return tokens
    if isinstance(tokens, (str, bytes)) or not all(
        isinstance(words, (list, tuple)) for words in tokens
    ):
        raise ValueError(
            "`tokens` must be a list of sentences, each a list of words. Received: "
            f"tokens={reprlib.repr(tokens)}"
        )
    try:
        return tf.ragged.constant(tokens, dtype=tf.string, ragged_rank=1)
    except (TypeError, ValueError) as error:
        raise _no_strings("tokens", tokens) from error


def padding_mask(tokens):
    """True up to the last word of each row: string (B, L) -> bool (B, L).

    An empty string before that is a word without letters, not padding: a mask has no holes.
    """
    present = tf.cast(tf.not_equal(tokens, ""), tf.int32)
    return tf.cumsum(present, axis=1, reverse=True) > 0


def _no_strings(name, value):
    return ValueError(f"`{name}` must hold strings. Received: {name}={reprlib.repr(value)}")


def batch_of_strings(name, value, rank):
    """A string tensor out of what a caller gave under a name.

    Raises:
        ValueError: it is one string, holds something else, or is known to be of another rank.
    """
    if isinstance(value, (str, bytes)):
        raise ValueError(
            f"`{name}` must be a batch, a list or a tensor of rank {rank}. "
            f"Received: {name}={value!r}"
        )
    if isinstance(value, keras.KerasTensor):
        raise ValueError(
            f"`{name}` must be texts, not the symbol of an input: call the preprocessor in a "
            f"model's `call`, or in `tf.data`. Received: {name}={value}"
        )
    try:
        tensor = tf.convert_to_tensor(value, dtype=tf.string)
    except (TypeError, ValueError) as error:  # ValueError: None, or rows of unlike lengths
        raise _no_strings(name, value) from error
    if tensor.shape.rank is not None and tensor.shape.rank != rank:
        raise ValueError(
            f"`{name}` must have rank {rank}. Received: {name}.shape={tuple(tensor.shape)}"
        )
    return tensor
