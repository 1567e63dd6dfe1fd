from typing import Any

import keras
from keras import ops

from ...layers.next_sentence_head import NextSentenceHead
from ..given import check_backbone
from ..mean_loss import mean_loss
from .backbone import initializer
from .masked_lm import (
    encoded_with_logits,
    masked_inputs,
    masked_lm_head,
    masked_loss,
    masked_preprocessor,
)
from .task import BertTask
from .weights import MASKED_LM_PARTS, NEXT_SENTENCE_PARTS


@keras.saving.register_keras_serializable(package="polysemy")
class BertPretrainer(BertTask):
    """BERT's pre-training: guesses masked tokens, and whether the second segment follows the first.

    Targets: `{"mask_ids": (B, P), "mask_weights": (B, P), "next_sentence": (B,)}`, the last 0 where
    the second segment follows, 1 where it is random.

    Shapes: B batch, P chosen positions, V vocabulary_size.

    Inputs (dict): those of the backbone, and
        mask_positions: (B, P) int32. Slots left over hold any position, such as 0.

    Outputs (dict):
        logits: (B, P, V) float32. next_sentence_logits: (B, 2) float32.

    Args:
        backbone: `Bert` with pooling "cls".

    Example:
    >>> from polysemy.zoo import Bert
    >>> model = BertPretrainer(Bert(vocabulary_size=30, num_layers=1, num_heads=2, hidden_dim=8))
    >>> sorted(model.output)
    ['logits', 'next_sentence_logits']

    Reference: [Devlin et al., 2018](https://arxiv.org/abs/1810.04805), section 3.1.
    """

    uses = "pooled_output"
    huggingface_class = "BertForPreTraining"
    head_parts = (*MASKED_LM_PARTS, *NEXT_SENTENCE_PARTS)

    def __init__(self, backbone, dtype=None, name="bert_pretrainer", **kwargs):
        check_backbone(backbone)
        if backbone.pooling != "cls":
            raise ValueError(
                '`backbone` must have pooling "cls", which next sentences are told by. Received: '
                f"pooling={backbone.pooling!r}"
            )
        # === Layers ===
        masked_lm = masked_lm_head(backbone, dtype)
        next_sentence = NextSentenceHead(
            kernel_initializer=initializer(), dtype=dtype, name="next_sentence_head"
        )

        # === Functional graph ===
        inputs = masked_inputs(backbone)
        encoded = backbone({name: inputs[name] for name in backbone.input})
        outputs = {
            "logits": masked_lm(encoded["sequence_output"], inputs["mask_positions"]),
            "next_sentence_logits": next_sentence(encoded["pooled_output"]),
        }
        super().__init__(
            backbone=backbone, inputs=inputs, outputs=outputs, dtype=dtype, name=name, **kwargs
        )

        # === Config ===
        self.masked_lm_head = masked_lm
        self.next_sentence_head = next_sentence

    @property
    def head_layers(self):
        return self.masked_lm_head, self.next_sentence_head

    def make_preprocessor(self):
        return masked_preprocessor(self.backbone)

    def compute_loss(
        self, x: Any = None, y: Any = None, y_pred: Any = None, sample_weight=None, training=True
    ):
        """The sum of the mean cross-entropies, in nats: over the chosen tokens, and over texts."""
        follows = ops.sparse_categorical_crossentropy(
            y["next_sentence"], y_pred["next_sentence_logits"], from_logits=True
        )
        return self.total_loss(
            masked_loss(y, y_pred["logits"], sample_weight)
            + mean_loss(follows, sample_weight=sample_weight)
        )

    def serving_outputs(self, outputs, inputs):
        """As `BertMaskedLM`, and `next_sentence_probability` (B,)."""
        from .serving import guesses

        follows = ops.softmax(outputs["next_sentence_logits"])[:, 0]
        return {
            **guesses(self, outputs, inputs, 5),
            "next_sentence_probability": follows,
        }

    def serving_signatures(self):
        """`fill_mask`, as of `BertMaskedLM`, and `pairs`: `sentences` and `pairs`, string (B,)."""
        from .serving import fill_mask_signature, pair_signature

        return {**fill_mask_signature(self), **pair_signature(self)}

    def masked_lm(self, inputs, training=False):
        """The backbone's outputs, and `mlm_logits` (B, P, V): TF Hub's part `mlm`."""
        return encoded_with_logits(self, inputs, training)
