from typing import Any

import keras
from keras import ops

from ...layers.lm_head import LMHead
from ..given import check_backbone
from ..mean_loss import mean_loss
from ..task import TaskModel

BEGIN, END, UNKNOWN = "<S>", "</S>", "<UNK>"


@keras.saving.register_keras_serializable(package="polysemy")
class ElmoLM(TaskModel):
    """ELMo's pre-training: a forward and a backward language model over one set of words.

    Reads rows in which sentences follow each other, cut every T steps; the LSTM state goes on from
    batch to batch and gradients stop at the cut, if the backbone is stateful. Word encoder and
    softmax serve both directions. Loss: the mean of both directions' cross-entropies per token, in
    nats.

    Shapes: B rows, T steps, C max_characters.

    Inputs (dict), as `ElmoLMPreprocessor.rows` makes them:
        character_ids: (B, T, C) int32. Words of each row, in order.
        reverse_character_ids: (B, T, C) int32. The same sentences, each reversed.
        targets: (B, T) int32. Id of the word that follows; -1 where there is none.
        reverse_targets: (B, T) int32. Id of the word that goes before; -1 where there is none.

    Outputs (dict):
        forward_loss, backward_loss: (B, T) float32, in nats; 0 where there is no target. A training
            step takes them from a sampled softmax if `num_sampled` is set, evaluation from the full
            one.

    Args:
        backbone: `Elmo`.
        vocabulary: list of str. Words that are predicted: "<S>", "</S>", "<UNK>", then by falling
            frequency, as the sampler needs them.
        num_sampled: int or None. Words drawn for the sampled softmax.
        dropout: float. On the top layer's output.

    Example:
    >>> from polysemy.zoo import Elmo
    >>> backbone = Elmo.from_size("tiny")
    >>> model = ElmoLM(backbone, vocabulary=["<S>", "</S>", "<UNK>", "a", "cat"])
    >>> rows = model.preprocessor.rows([["<S>", "a", "cat"]], [["a", "cat", "</S>"]])
    >>> sorted(rows)
    ['character_ids', 'targets']

    Reference: [Peters et al., 2018](https://arxiv.org/abs/1802.05365), section 3.1 and 3.4.
    """

    def __init__(
        self,
        backbone,
        vocabulary,
        num_sampled=None,
        dropout=0.0,
        dtype=None,
        name="elmo_lm",
        **kwargs,
    ):
        check_backbone(backbone)
        # === Layers ===
        head = LMHead(len(vocabulary), num_sampled=num_sampled, dtype=dtype, name="lm_head")
        output_dropout = keras.layers.Dropout(dropout, name="output_dropout")

        # === Functional graph ===
        characters = (None, backbone.max_characters)
        inputs = {
            "character_ids": keras.Input(characters, dtype="int32", name="character_ids"),
            "reverse_character_ids": keras.Input(
                characters, dtype="int32", name="reverse_character_ids"
            ),
            "targets": keras.Input((None,), dtype="int32", name="targets"),
            "reverse_targets": keras.Input((None,), dtype="int32", name="reverse_targets"),
        }
        # Both directions in one call: most distinct words occur in both.
        both = ops.concatenate([inputs["character_ids"], inputs["reverse_character_ids"]], axis=0)
        words, reverse_words = ops.split(backbone.token_encoder(both), 2, axis=0)  # (B, T, P)
        lm = backbone.bidirectional_lm(
            words, reverse_inputs=reverse_words, padding_mask=inputs["targets"] >= 0
        )
        outputs = {}
        for direction, targets in (
            ("forward", inputs["targets"]),
            ("backward", inputs["reverse_targets"]),
        ):
            top = output_dropout(lm[direction][-1])  # (B, T, P)
            loss = head(top, targets=ops.maximum(targets, 0))
            outputs[f"{direction}_loss"] = loss * ops.cast(targets >= 0, loss.dtype)
        super().__init__(
            backbone=backbone, inputs=inputs, outputs=outputs, dtype=dtype, name=name, **kwargs
        )

        # === Config ===
        self.vocabulary = list(vocabulary)
        self.num_sampled = num_sampled
        self.dropout = dropout
        self.lm_head = head

    def make_preprocessor(self):
        from .lm_preprocessor import ElmoLMPreprocessor

        return ElmoLMPreprocessor(self.vocabulary, self.backbone.max_characters)

    def compute_loss(
        self, x: Any = None, y=None, y_pred: Any = None, sample_weight=None, training=True
    ):
        """The mean of both directions' losses over the positions that have a target; see
        `mean_loss` for the weights.
        """
        each = (y_pred["forward_loss"] + y_pred["backward_loss"]) / 2.0
        return self.loss_of_replica(mean_loss(each, x["targets"] >= 0, sample_weight))

    @property
    def trainable_weights(self):
        # The mixes belong to the tasks that come after: no language model's loss reaches them.
        mixes = {id(weight) for mix in self.backbone.mixes for weight in mix.weights}
        return [weight for weight in super().trainable_weights if id(weight) not in mixes]

    @property
    def trainable_variables(self):
        return self.trainable_weights

    def reset_states(self):
        """Forgets the LSTM state of every row: before a pass over another text."""
        self.backbone.reset_states()

    def get_config(self):
        return {
            **super().get_config(),
            "vocabulary": self.vocabulary,
            "num_sampled": self.num_sampled,
            "dropout": self.dropout,
        }
