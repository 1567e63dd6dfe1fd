from typing import Any

import keras
from keras import ops

from ...layers.masked_lm_head import MaskedLMHead
from ..backbone import fresh_inputs
from ..given import check_backbone
from ..mean_loss import mean_loss
from .backbone import initializer
from .task import BertTask
from .weights import MASKED_LM_PARTS


@keras.saving.register_keras_serializable(package="polysemy")
class BertMaskedLM(BertTask):
    """Guesses the tokens at chosen positions of a text; the output's matrix is the token vectors'.

    `model.preprocessor(texts)` chooses the positions of "[MASK]"; in training they come from
    `zoo.text.masking.mask_tokens`, with the targets `{"mask_ids": (B, P), "mask_weights": (B, P)}`.

    Shapes: B batch, P chosen positions, V vocabulary_size.

    Inputs (dict): those of the backbone, and
        mask_positions: (B, P) int32. Slots left over hold any position, such as 0.

    Outputs (dict):
        logits: (B, P, V) float32.

    Args:
        backbone: `Bert`.
        top_k: int. Guesses that the exported model answers with.

    Example:
    >>> from polysemy.zoo import Bert
    >>> words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "cat"]
    >>> model = BertMaskedLM(Bert(words, num_layers=1, num_heads=2, hidden_dim=8))
    >>> model(model.preprocessor(["a [MASK]", "[MASK] [MASK]"]))["logits"].shape
    TensorShape([2, 2, 7])

    Reference: [Devlin et al., 2018](https://arxiv.org/abs/1810.04805), section 3.1.
    """

    huggingface_class = "BertForMaskedLM"
    head_parts = MASKED_LM_PARTS

    def __init__(self, backbone, top_k=5, dtype=None, name="bert_masked_lm", **kwargs):
        check_backbone(backbone)
        if top_k < 1:
            raise ValueError(f"`top_k` must be at least 1. Received: top_k={top_k}")
        # === Layers ===
        head = masked_lm_head(backbone, dtype)

        # === Functional graph ===
        inputs = masked_inputs(backbone)
        encoded = backbone({name: inputs[name] for name in backbone.input})
        outputs = {"logits": head(encoded["sequence_output"], inputs["mask_positions"])}
        super().__init__(
            backbone=backbone, inputs=inputs, outputs=outputs, dtype=dtype, name=name, **kwargs
        )

        # === Config ===
        self.top_k = top_k
        self.masked_lm_head = head

    @property
    def head_layers(self):
        return (self.masked_lm_head,)

    def make_preprocessor(self):
        return masked_preprocessor(self.backbone)

    def compute_loss(
        self, x: Any = None, y=None, y_pred: Any = None, sample_weight=None, training=True
    ):
        """The mean over the batch's chosen tokens of the cross-entropy, in nats."""
        return self.total_loss(masked_loss(y, y_pred["logits"], sample_weight))

    def serving_outputs(self, outputs, inputs):
        """For each "[MASK]" the likeliest pieces, `tokens` (B, P, k) string, best first, and their
        `probabilities` (B, P, k); "" and 0 in slots left over.
        """
        from .serving import guesses

        return guesses(self, outputs, inputs, self.top_k)

    def serving_signatures(self):
        """`fill_mask`: `sentences` string (B,) and `top_k` int32 scalar."""
        from .serving import fill_mask_signature

        return fill_mask_signature(self)

    def masked_lm(self, inputs, training=False):
        """The backbone's outputs, and `mlm_logits` (B, P, V): TF Hub's part `mlm`."""
        return encoded_with_logits(self, inputs, training)

    def get_config(self):
        return {**super().get_config(), "top_k": self.top_k}


def masked_lm_head(backbone, dtype):
    """The head whose output matrix is the backbone's token vectors."""
    return MaskedLMHead(
        backbone.vocabulary_size,
        activation=backbone.activation,
        layer_norm_epsilon=backbone.layer_norm_epsilon,
        kernel_initializer=initializer(),
        tie_to=backbone.embeddings,
        dtype=dtype,
        name="masked_lm_head",
    )


def masked_inputs(backbone):
    """The backbone's inputs, and `mask_positions`."""
    inputs = fresh_inputs(backbone)
    inputs["mask_positions"] = keras.Input((None,), dtype="int32", name="mask_positions")
    return inputs


def encoded_with_logits(model, inputs, training):
    """The outputs of a model's backbone, and `mlm_logits` of its `masked_lm_head`."""
    own = {name: inputs[name] for name in model.backbone.input}
    encoded = model.backbone(own, training=training)
    logits = model.masked_lm_head(encoded["sequence_output"], inputs["mask_positions"])
    return {**encoded, "mlm_logits": logits}


def masked_loss(y, logits, sample_weight=None):
    """The mean over the chosen tokens of the cross-entropy: scalar float32."""
    each = ops.sparse_categorical_crossentropy(y["mask_ids"], logits, from_logits=True)
    return mean_loss(each, y["mask_weights"], sample_weight)


def masked_preprocessor(backbone):
    """Text to the inputs with the positions of "[MASK]"; None without a vocabulary."""
    if backbone is None or backbone.vocabulary is None:
        return None
    from .masked_preprocessor import BertMaskedPreprocessor

    return BertMaskedPreprocessor(
        backbone.vocabulary,
        backbone.lowercase,
        backbone.max_length,
        backbone.sequence_length,
        backbone.specials,
    )
