import keras

from ...layers.bidirectional_lm import BidirectionalLM
from ...layers.scalar_mix import ScalarMix
from ...layers.sentence_boundaries import SentenceBoundaries
from ..text import character_constants as characters
from .bilm_backbone import BiLMBackbone
from .outputs import representations
from .sizes import ELMO_SIZES
from .token_encoder import TokenEncoder


@keras.saving.register_keras_serializable(package="polysemy")
class Elmo(BiLMBackbone):
    """ELMo: every layer of a bidirectional language model, mixed into one vector per word.

    Words are read as characters, so there is no unknown word. Two LSTM stacks read the sentence
    with its boundaries forward and backward; boundaries are removed again from what comes out.

    Shapes: B batch, L tokens, C max_characters, P projection_dim, K = num_layers + 1.

    Inputs (dict):
        character_ids: (B, L, C) int32, as `ElmoPreprocessor` makes them.
        padding_mask: (B, L) bool, True at tokens, padding on the right.

    Outputs (dict), zero at padding:
        token_output: (B, L, P). Context-free word vectors, layer 0 before it is doubled.
        layer_outputs: (B, K, L, 2P). Layer 0 is the word vector twice, layer k [forward; backward].
        sequence_output: (B, L, 2P). The first mix. Further mixes are `sequence_output_1` and so on.

    Args:
        filters: list of (width, number). `num_highway_layers`, `character_embedding_dim`,
            `max_characters`, `activation`: see `TokenEncoder`.
        hidden_dim: int. Width of the LSTM cells.
        projection_dim: int. P.
        num_layers: int. LSTM layers of each direction.
        cell_clip, projection_clip: float or None.
        residual: bool. Add a layer's input to its output, from the second layer on.
        num_mixes: int. How many separate `ScalarMix` to hand out.
        mix_l2, mix_dropout, mix_normalize: see `ScalarMix`.
        dropout: float. On the input of each LSTM layer in training.
        stateful: bool. Carry the LSTM state from call to call, row by row, as the published program
            did; `reset_states()` forgets it. Off, equal sentences get equal vectors.
        state_batch_size: int. Rows of the kept state.

    Example:
    >>> elmo = Elmo.from_size("tiny")
    >>> outputs = elmo(elmo.preprocessor(["the cat sat", "hello"]))
    >>> outputs["layer_outputs"].shape
    TensorShape([2, 3, 3, 192])

    Reference: [Peters et al., 2018](https://arxiv.org/abs/1802.05365)
    """

    def __init__(
        self,
        filters=ELMO_SIZES["original"]["filters"],
        num_highway_layers=2,
        character_embedding_dim=16,
        max_characters=50,
        activation="relu",
        hidden_dim=4096,
        projection_dim=512,
        num_layers=2,
        cell_clip=3.0,
        projection_clip=3.0,
        residual=True,
        num_mixes=1,
        mix_l2=0.0,
        mix_dropout=0.0,
        mix_normalize=False,
        dropout=0.0,
        stateful=False,
        state_batch_size=None,
        dtype=None,
        name="elmo",
        **kwargs,
    ):
        # === Layers ===
        boundaries = SentenceBoundaries(
            begin=characters.boundary_row(characters.BEGIN_SENTENCE, max_characters),
            end=characters.boundary_row(characters.END_SENTENCE, max_characters),
            name="sentence_boundaries",
        )
        token_encoder = TokenEncoder(
            characters.NUM_CHARACTERS,
            character_embedding_dim,
            filters,
            num_highway_layers,
            projection_dim,
            activation,
            dtype=dtype,
            name="token_encoder",
        )
        bidirectional_lm = BidirectionalLM(
            num_layers,
            hidden_dim,
            projection_dim,
            cell_clip=cell_clip,
            projection_clip=projection_clip,
            residual=residual,
            dropout=dropout,
            stateful=stateful,
            state_batch_size=state_batch_size,
            dtype=dtype,
            name="bidirectional_lm",
        )
        mixes = [
            ScalarMix(
                num_layers + 1,
                normalize=mix_normalize,
                l2=mix_l2,
                dropout=mix_dropout,
                dtype=dtype,
                name=f"scalar_mix_{i}" if i else "scalar_mix",
            )
            for i in range(num_mixes)
        ]

        # === Functional graph ===
        inputs = {
            "character_ids": keras.Input(
                (None, max_characters), dtype="int32", name="character_ids"
            ),
            "padding_mask": keras.Input((None,), dtype="bool", name="padding_mask"),
        }
        mask = inputs["padding_mask"]
        ids, mask_with_boundaries = boundaries(inputs["character_ids"], mask)
        words = token_encoder(ids)  # (B, L + 2, P)
        outputs = representations(words, mask_with_boundaries, mask, bidirectional_lm, mixes)
        super().__init__(inputs=inputs, outputs=outputs, dtype=dtype, name=name, **kwargs)

        # === Config ===
        self.filters = [list(pair) for pair in filters]
        self.num_highway_layers = num_highway_layers
        self.character_embedding_dim = character_embedding_dim
        self.max_characters = max_characters
        self.activation = activation
        self.hidden_dim = hidden_dim
        self.projection_dim = projection_dim
        self.num_layers = num_layers
        self.cell_clip = cell_clip
        self.projection_clip = projection_clip
        self.residual = residual
        self.num_mixes = num_mixes
        self.mix_l2 = mix_l2
        self.mix_dropout = mix_dropout
        self.mix_normalize = mix_normalize
        self.dropout = dropout
        self.stateful_lm = stateful
        self.state_batch_size = state_batch_size
        self.token_encoder = token_encoder
        self.bidirectional_lm = bidirectional_lm
        self.mixes = mixes

    @classmethod
    def from_size(cls, size, **overrides):
        """An untrained model of a published size: "original", "medium", "small", or "tiny".

        Raises:
            ValueError: the size has no such name.
        """
        if size not in ELMO_SIZES:
            raise ValueError(f"`size` must be one of {sorted(ELMO_SIZES)}. Received: size={size!r}")
        return cls(**{**ELMO_SIZES[size], **overrides})

    @classmethod
    def from_checkpoint(cls, options_json, weights_hdf5, **overrides):
        """Loads a published biLM: an options file and an HDF5 weights file of AllenNLP or bilm-tf.

        Args:
            options_json: path. weights_hdf5: path.
            **overrides: constructor arguments (mixes, dropout, statefulness).

        Raises:
            FileNotFoundError: a file is not there.
            ValueError: the options are not as they should be; or a tensor is missing, superfluous
                or misshapen, and then all of them are listed.
        """
        from .checkpoints import load_checkpoint

        return load_checkpoint(cls, options_json, weights_hdf5, overrides)

    def with_token_cache(self, words):
        """The same model for a fixed vocabulary: word vectors are looked up, not computed.

        LSTMs and mixes are shared with this model; the word vectors are a copy as of now.

        Args:
            words: iterable of str. Words given twice count once.

        Returns:
            `CachedElmo`.
        """
        from .token_cache import cache_tokens

        return cache_tokens(self, words)

    def make_preprocessor(self):
        from .preprocessor import ElmoPreprocessor

        return ElmoPreprocessor(self.max_characters)

    def get_config(self):
        return {
            **super().get_config(),
            "filters": self.filters,
            "num_highway_layers": self.num_highway_layers,
            "character_embedding_dim": self.character_embedding_dim,
            "max_characters": self.max_characters,
            "activation": self.activation,
            "hidden_dim": self.hidden_dim,
            "projection_dim": self.projection_dim,
            "num_layers": self.num_layers,
            "cell_clip": self.cell_clip,
            "projection_clip": self.projection_clip,
            "residual": self.residual,
            "num_mixes": self.num_mixes,
            "mix_l2": self.mix_l2,
            "mix_dropout": self.mix_dropout,
            "mix_normalize": self.mix_normalize,
            "dropout": self.dropout,
            "stateful": self.stateful_lm,
            "state_batch_size": self.state_batch_size,
        }
