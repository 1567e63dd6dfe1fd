import keras
from keras import ops

from ...layers.sentence_boundaries import SentenceBoundaries
from ..text import character_constants as characters
from .bilm_backbone import BiLMBackbone
from .outputs import representations

UNKNOWN = "<UNK>"
WORDS_AT_ONCE = 1024  # whose character vectors are computed in one call


@keras.saving.register_keras_serializable(package="polysemy")
class CachedElmo(BiLMBackbone):
    """ELMo for a fixed vocabulary: context-free word vectors are looked up instead of computed.

    Made by `Elmo.with_token_cache`, which fills the table. For words of the vocabulary the outputs
    are those of the model it was made from. Every other word gets the vector of the characters
    "<UNK>": ELMo itself would have read its letters, so choose a vocabulary that covers the text.

    Shapes: B batch, L tokens, P projection_dim, K = LSTM layers + 1, V words.

    Inputs (dict):
        token_ids: (B, L) int32, as `TokenCachePreprocessor` makes them.
        padding_mask: (B, L) bool, True at tokens, padding on the right.

    Outputs (dict): `token_output`, `layer_outputs`, `sequence_output`, … as of `Elmo`.

    Args:
        vocabulary: list of str. Distinct words, "<UNK>" among them.
        bidirectional_lm: `BidirectionalLM`. Shared, not copied.
        mixes: list of `ScalarMix`. Shared, not copied.

    Example:
    >>> from polysemy.zoo import Elmo
    >>> cached = Elmo.from_size("tiny").with_token_cache(["the", "cat", "sat"])
    >>> inputs = cached.preprocessor(["the cat sat", "the"])
    >>> inputs["token_ids"].numpy().tolist()
    [[1, 2, 3], [1, 0, 0]]
    >>> cached(inputs)["sequence_output"].shape
    TensorShape([2, 3, 192])

    Reference: the option `vocab_to_cache` of AllenNLP's ELMo;
    [Peters et al., 2018](https://arxiv.org/abs/1802.05365).
    """

    def __init__(
        self, vocabulary, bidirectional_lm, mixes, dtype=None, name="cached_elmo", **kwargs
    ):
        # === Layers ===
        vocabulary = list(vocabulary)
        # The rows of the boundaries come last, where no word's id can be.
        begin, end = len(vocabulary), len(vocabulary) + 1
        boundaries = SentenceBoundaries(begin=[begin], end=[end], name="sentence_boundaries")
        token_vectors = keras.layers.Embedding(
            len(vocabulary) + 2,
            bidirectional_lm.projection_dim,
            trainable=False,
            dtype=dtype,
            name="token_vectors",
        )

        # === Functional graph ===
        inputs = {
            "token_ids": keras.Input((None,), dtype="int32", name="token_ids"),
            "padding_mask": keras.Input((None,), dtype="bool", name="padding_mask"),
        }
        mask = inputs["padding_mask"]
        rows, mask_with_boundaries = boundaries(ops.expand_dims(inputs["token_ids"], -1), mask)
        words = token_vectors(ops.squeeze(rows, -1))  # (B, L + 2, P)
        outputs = representations(words, mask_with_boundaries, mask, bidirectional_lm, mixes)
        super().__init__(inputs=inputs, outputs=outputs, dtype=dtype, name=name, **kwargs)

        # === Config ===
        self.vocabulary = vocabulary
        self.token_vectors = token_vectors
        self.bidirectional_lm = bidirectional_lm
        self.mixes = list(mixes)

    def make_preprocessor(self):
        from .token_cache_preprocessor import TokenCachePreprocessor

        return TokenCachePreprocessor(self.vocabulary)

    def get_config(self):
        return {
            **super().get_config(),
            "vocabulary": self.vocabulary,
            "bidirectional_lm": keras.saving.serialize_keras_object(self.bidirectional_lm),
            "mixes": [keras.saving.serialize_keras_object(mix) for mix in self.mixes],
        }

    @classmethod
    def from_config(cls, config, custom_objects=None):
        config = dict(config)
        for part in ("bidirectional_lm", "mixes"):
            config[part] = keras.saving.deserialize_keras_object(
                config[part], custom_objects=custom_objects
            )
        return super().from_config(config, custom_objects)


def cache_tokens(elmo, words):
    """Builds the `CachedElmo` of an `Elmo` for `words`."""
    from ..text.characters import character_ids

    vocabulary = list(dict.fromkeys([UNKNOWN, *words]))
    policy = elmo.token_encoder.dtype_policy
    cached = CachedElmo(vocabulary, elmo.bidirectional_lm, elmo.mixes, dtype=policy)
    vectors = []
    for start in range(0, len(vocabulary), WORDS_AT_ONCE):
        ids = character_ids(vocabulary[start : start + WORDS_AT_ONCE], elmo.max_characters)
        vectors.append(_encode(elmo, ids[None]))
    boundaries = (characters.BEGIN_SENTENCE, characters.END_SENTENCE)
    rows = [characters.boundary_row(boundary, elmo.max_characters) for boundary in boundaries]
    vectors.append(_encode(elmo, ops.convert_to_tensor([rows], "int32")))
    cached.token_vectors.embeddings.assign(ops.concatenate(vectors, axis=0))
    return cached


def _encode(elmo, ids):
    """(1, N, C) -> (N, P) float32."""
    return ops.cast(elmo.token_encoder(ids)[0], "float32")
