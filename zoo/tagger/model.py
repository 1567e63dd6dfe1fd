from typing import Any

import keras
from keras import ops

from ...layers.character_cnn import CharacterCNN
from ...layers.distinct_rows import DistinctRows
from ...layers.take_rows import TakeRows
from ..backbone import Backbone
from ..given import distinct_names
from ..task import TaskModel
from ..text.character_constants import NUM_CHARACTERS
from .encoding import PLACES, encode, encoder_inputs
from .head import new_crf, tag_loss, tag_outputs


@keras.saving.register_keras_serializable(package="polysemy")
class Tagger(TaskModel):
    """Gives each word a tag: words, characters, any context encoder → biLSTMs → softmax or CRF.

    The encoder may be any backbone of the zoo, or none. Its vectors join the words at the input,
    after the first biLSTM as in TagLM, or at both places, each place with a mix of its own.

    Shapes: B batch, L tokens, T tags, C max_characters.

    Inputs (dict), as `TaggerPreprocessor` makes them:
        word_ids: (B, L) int32. Only with `words`.
        character_ids: (B, L, C) int32. padding_mask: (B, L) bool.
        encoder_*: the encoder's inputs.

    Outputs (dict):
        logits: (B, L, T) float32. With a CRF, the scores before transitions.
        tag_ids: (B, L) int32. The best tags; with a CRF the best allowed path.
        probabilities: (B, L, T) float32. Softmax, or the CRF's marginals.

    Args:
        backbone: `Backbone` or None. The context encoder. Its `trainable` flags are set as
            `encoder_training` says.
        tags: list of str, distinct.
        words: list of str or None. Vocabulary of the word vectors, lower-cased; None: no word
            vectors.
        encoder_training: "frozen" (the encoder and an even mix stand still), "mix" (only the
            weights of the mix learn) or "full".
        encoder_layers: "mix" of all layers, or "top".
        encoder_at: "input", "first_lstm" or "both".
        mix_l2: float. See `ScalarMix`.
        word_dim: int. Width of the word vectors.
        character_filters: list of (width, number) of the tagger's own CNN; None: no characters.
        num_layers: int, at least 1. biLSTM layers.
        hidden_dim: int. Width of each direction.
        dropout: float. On the encoder's vectors, the input and the output of each biLSTM.
        head: "crf" or "softmax".
        scheme: "BIO", "BIOES" or None. Tag scheme whose rules the CRF keeps; None without a CRF.
        max_characters: int. C.

    Example:
    >>> tagger = Tagger(None, tags=["O", "B-PER", "I-PER"], hidden_dim=8, scheme="BIO")
    >>> tagger(tagger.preprocessor(["Jordan sleeps"]))["tag_ids"].shape
    TensorShape([1, 2])

    Reference: [Peters et al., 2017](https://arxiv.org/abs/1705.00108),
    [Peters et al., 2018](https://arxiv.org/abs/1802.05365).
    """

    def __init__(
        self,
        backbone,
        tags,
        words=None,
        encoder_training="mix",
        encoder_layers="mix",
        encoder_at="input",
        mix_l2=0.001,
        word_dim=50,
        character_filters=((3, 128),),
        num_layers=2,
        hidden_dim=200,
        dropout=0.5,
        head="crf",
        scheme=None,
        max_characters=50,
        dtype=None,
        name="tagger",
        **kwargs,
    ):
        _check("encoder_training", encoder_training, ("frozen", "mix", "full"))
        _check("encoder_layers", encoder_layers, ("mix", "top"))
        _check("encoder_at", encoder_at, tuple(PLACES))
        _check("head", head, ("crf", "softmax"))
        tags = distinct_names("tags", tags)
        if num_layers < 1:
            raise ValueError(f"`num_layers` must be at least 1. Received: num_layers={num_layers}")
        if backbone is None and words is None and character_filters is None:
            raise ValueError(
                "One of `backbone`, `words` and `character_filters` must be given. Received: none"
            )
        if backbone is not None and not isinstance(backbone, Backbone):
            raise ValueError(f"`backbone` must be a Backbone or None. Received: {backbone!r}")
        if encoder_at == "first_lstm" and words is None and character_filters is None:
            raise ValueError(
                "`words` or `character_filters` must be given where the encoder does not stand at "
                "the input. Received: encoder_at='first_lstm', words=None, character_filters=None"
            )

        # === Layers ===
        word_embedding = character_layers = None
        if words is not None:
            # Id 0 is padding, 1 the unknown word.
            word_embedding = keras.layers.Embedding(
                len(words) + 2, word_dim, dtype=dtype, name="word_embedding"
            )
        if character_filters is not None:
            cnn = CharacterCNN(
                NUM_CHARACTERS, filters=character_filters, dtype=dtype, name="character_cnn"
            )
            distinct = DistinctRows(dtype=dtype, name="distinct")
            character_layers = distinct, cnn, TakeRows(dtype=dtype, name="take")
        lstms = [
            keras.layers.Bidirectional(
                # A name of its own: Keras numbers others, and presets find weights by their paths.
                keras.layers.LSTM(hidden_dim, return_sequences=True, dtype=dtype, name="lstm"),
                dtype=dtype,
                name=f"lstm_{i}",
            )
            for i in range(num_layers)
        ]
        drop = keras.layers.Dropout(dropout, dtype=dtype, name="dropout")
        # Scores are compared and summed over whole sentences: float32 under every policy.
        scores = keras.layers.Dense(len(tags), dtype="float32", name="scores")
        crf = new_crf(tags, head, scheme)

        # === Functional graph ===
        mask = keras.Input((None,), dtype="bool", name="padding_mask")
        inputs = {"padding_mask": mask}
        features = []
        if word_embedding is not None:
            inputs["word_ids"] = keras.Input((None,), dtype="int32", name="word_ids")
            features.append(word_embedding(inputs["word_ids"]))
        inputs["character_ids"] = keras.Input(
            (None, max_characters), dtype="int32", name="character_ids"
        )
        if character_layers is not None:
            distinct, cnn, take = character_layers
            rows, indices = distinct(inputs["character_ids"])
            features.append(take(cnn(rows), indices))
        mixes, encoded = {}, {}
        if backbone is not None:
            of_encoder = encoder_inputs(backbone)
            inputs.update({f"encoder_{name}": x for name, x in of_encoder.items()})
            mixes, encoded = encode(
                backbone,
                of_encoder,
                mask,
                encoder_training,
                encoder_layers,
                encoder_at,
                mix_l2,
                dtype,
            )
        if "input" in encoded:
            features.append(drop(encoded["input"]))
        x = drop(ops.concatenate(features, axis=-1) if len(features) > 1 else features[0])
        for i, lstm in enumerate(lstms):
            x = drop(lstm(x, mask=mask))  # (B, L, 2H)
            if i == 0 and "first_lstm" in encoded:
                x = ops.concatenate([x, drop(encoded["first_lstm"])], axis=-1)
        logits = scores(x)
        outputs = tag_outputs(logits, mask, crf)
        super().__init__(
            backbone=backbone, inputs=inputs, outputs=outputs, dtype=dtype, name=name, **kwargs
        )

        # === Config ===
        self.tags = tags
        self.words = None if words is None else list(words)
        self.encoder_training = encoder_training
        self.encoder_layers = encoder_layers
        self.encoder_at = encoder_at
        self.mix_l2 = mix_l2
        self.word_dim = word_dim
        self.character_filters = character_filters and [list(pair) for pair in character_filters]
        self.num_layers = num_layers
        self.hidden_dim = hidden_dim
        self.dropout = dropout
        self.head = head
        self.scheme = scheme
        self.max_characters = max_characters
        self.word_embedding = word_embedding
        self.crf = crf
        self.mixes = mixes

    def call(self, inputs, training=None, mask=None):
        if inputs["padding_mask"].shape[0] != 0:
            return super().call(inputs, training=training, mask=mask)
        # Keras's LSTM fails on no rows: one of padding is run and dropped.
        row = keras.tree.map_structure(lambda x: ops.zeros((1, *x.shape[1:]), x.dtype), inputs)
        outputs = super().call(row, training=training, mask=mask)
        return keras.tree.map_structure(lambda y: y[:0], outputs)

    def make_preprocessor(self):
        from .preprocessor import TaggerPreprocessor

        encoder = None if self.backbone is None else self.backbone.preprocessor
        return TaggerPreprocessor(self.words, encoder, self.max_characters)

    def compute_loss(
        self, x: Any = None, y=None, y_pred: Any = None, sample_weight=None, training=True
    ):
        """Negative log-likelihood of the tag ids `y` (B, L): with a CRF the mean over sentences,
        else over tokens; the penalties of the weights are added.

        Raises:
            ValueError: `y` has another shape than the words.
            tf.errors.InvalidArgumentError: an id at a word is no tag's; see `tag_loss`.
        """
        loss = tag_loss(y, y_pred["logits"], x["padding_mask"], self.crf, sample_weight)
        return self.total_loss(loss)

    def layer_weights(self):
        """The mixes' weights: place ("input", "first_lstm") to floats, lowest layer first."""
        return {
            place: ops.convert_to_numpy(mix.layer_weights()).tolist()
            for place, mix in self.mixes.items()
        }

    def serving_outputs(self, outputs, inputs):
        """`tokens` and `tags` (B, L) string, "" at padding; the tags' `probabilities` (B, L)."""
        from .serving import tag_strings

        return tag_strings(self.tags, outputs, inputs["tokens"], inputs["padding_mask"])

    def get_config(self):
        return {
            **super().get_config(),
            "tags": self.tags,
            "words": self.words,
            "encoder_training": self.encoder_training,
            "encoder_layers": self.encoder_layers,
            "encoder_at": self.encoder_at,
            "mix_l2": self.mix_l2,
            "word_dim": self.word_dim,
            "character_filters": self.character_filters,
            "num_layers": self.num_layers,
            "hidden_dim": self.hidden_dim,
            "dropout": self.dropout,
            "head": self.head,
            "scheme": self.scheme,
            "max_characters": self.max_characters,
        }


def _check(name, value, allowed):
    if value not in allowed:
        raise ValueError(f"`{name}` must be one of {allowed}. Received: {name}={value!r}")
