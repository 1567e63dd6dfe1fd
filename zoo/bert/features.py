import keras
from keras import ops

from ..backbone import Backbone, fresh_inputs
from ..given import check_backbone
from ..preset import import_classes
from .pooler import Pooler


@keras.saving.register_keras_serializable(package="polysemy")
class BertFeatures(Backbone):
    """Some layers of a BERT as one vector for each token: feature-based use.

    What the paper compares with fine-tuning: the embeddings, the last layer or the last but one,
    the last four side by side, a sum. As a `Backbone` it plugs into any head, such as
    `Tagger(BertFeatures(bert), tags, encoder_training="frozen")`. Sums with learned weights are
    made by the head: `Tagger` weighs all of a `Bert`'s layers, or those that `combine="separate"`
    leaves.

    Shapes: B batch, L positions, N layers chosen, D hidden_dim of the BERT.

    Inputs: those of the backbone.

    Outputs (dict):
        sequence_output: (B, L, N D) with "concatenate", else (B, L, D); with "separate" the last
            layer chosen.
        layer_outputs: (B, N, L, D), only with "separate".
        pooled_output: the mean of `sequence_output` over the tokens.

    Args:
        backbone: `Bert`, or any that has `layer_outputs`.
        layers: list of int. Which; 0 is the embeddings, -1 the last.
        combine: "concatenate", "sum" or "separate".

    Example:
    >>> from polysemy.zoo import Bert
    >>> bert = Bert(vocabulary_size=30, num_layers=4, num_heads=2, hidden_dim=8)
    >>> BertFeatures(bert).output["sequence_output"].shape
    (None, None, 32)

    Reference: [Devlin et al., 2018](https://arxiv.org/abs/1810.04805), section 5.3.
    """

    def __init__(
        self,
        backbone,
        layers=(-4, -3, -2, -1),
        combine="concatenate",
        dtype=None,
        name="bert_features",
        **kwargs,
    ):
        check_backbone(backbone)
        number = backbone.output["layer_outputs"].shape[1]
        if combine not in ("concatenate", "sum", "separate"):
            raise ValueError(
                '`combine` must be "concatenate", "sum" or "separate". Received: '
                f"combine={combine!r}"
            )
        if not layers or any(not -number <= layer < number for layer in layers):
            raise ValueError(
                f"`layers` must be layers out of the {number} that there are, 0 the lowest. "
                f"Received: layers={list(layers)}"
            )
        # === Functional graph ===
        inputs = fresh_inputs(backbone)
        every = backbone(inputs)["layer_outputs"]  # (B, K + 1, L, D)
        chosen = [every[:, layer] for layer in layers]
        if combine == "concatenate":
            outputs = {"sequence_output": ops.concatenate(chosen, axis=-1)}
        elif combine == "sum":
            outputs = {"sequence_output": sum(chosen[1:], start=chosen[0])}
        else:
            outputs = {"sequence_output": chosen[-1], "layer_outputs": ops.stack(chosen, axis=1)}
        pooler = Pooler("mean", dtype=dtype, name="mean")
        outputs["pooled_output"] = pooler(
            outputs["sequence_output"], padding_mask=inputs["padding_mask"]
        )
        super().__init__(inputs=inputs, outputs=outputs, dtype=dtype, name=name, **kwargs)

        # === Config ===
        self.backbone = backbone
        self.layers_chosen = [int(layer) for layer in layers]
        self.combine = combine

    @property
    def splits_words(self):
        return self.backbone.splits_words

    def unused_weights(self, output):
        """The weights that no output depends on: of higher layers, and of the pooler."""
        number = self.backbone.output["layer_outputs"].shape[1]
        highest = max(layer % number for layer in self.layers_chosen)
        above = getattr(self.backbone, "blocks", [])[highest:]
        find = getattr(self.backbone, "unused_weights", None)
        unused = [] if find is None else find("layer_outputs")
        return [*unused, *(weight for block in above for weight in block.weights)]

    def make_preprocessor(self):
        return self.backbone.preprocessor

    def get_config(self):
        return {
            **super().get_config(),
            "backbone": keras.saving.serialize_keras_object(self.backbone),
            "layers": self.layers_chosen,
            "combine": self.combine,
        }

    @classmethod
    def from_config(cls, config, custom_objects=None):
        config = dict(config)
        import_classes(config["backbone"])
        config["backbone"] = keras.saving.deserialize_keras_object(
            config["backbone"], custom_objects=custom_objects
        )
        return super().from_config(config, custom_objects)
