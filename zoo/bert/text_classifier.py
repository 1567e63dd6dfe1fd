from typing import Any

import keras
from keras import ops

from ..backbone import fresh_inputs
from ..given import check_backbone, distinct_names
from ..id_check import checked_ids
from ..mean_loss import mean_loss
from .backbone import initializer
from .task import BertTask, class_config, dropout_from, labels_from
from .weights import CLASSIFIER_PARTS


@keras.saving.register_keras_serializable(package="polysemy")
class BertTextClassifier(BertTask):
    """Classifies a text, or a pair of texts; or gives it a number.

    A linear layer upon the backbone's `pooled_output`. Targets are class ids (B,), or with one
    class numbers (B,): then the loss is the squared error.

    Shapes: B batch, C num_classes.

    Inputs (dict): those of the backbone; `model.preprocessor(texts, pairs)` makes them.

    Outputs (dict):
        logits: (B, C) float32. With one class the number itself.
        probabilities: (B, C) float32, not with one class.

    Args:
        backbone: `Bert`, or any backbone that has `pooled_output`.
        num_classes: int. C; 1 for regression. By default the number of labels.
        labels: list of str, or None. Names of the classes, for serving; "0", "1" … without.
        dropout: float. On the pooled output.

    Example:
    >>> from polysemy.zoo import Bert
    >>> bert = Bert(vocabulary_size=30, num_layers=1, num_heads=2, hidden_dim=8)
    >>> BertTextClassifier(bert, labels=["negative", "positive"]).output["logits"].shape
    (None, 2)

    Reference: [Devlin et al., 2018](https://arxiv.org/abs/1810.04805), section 4.1.
    """

    uses = "pooled_output"
    huggingface_class = "BertForSequenceClassification"
    head_parts = CLASSIFIER_PARTS

    def __init__(
        self,
        backbone,
        num_classes=None,
        labels=None,
        dropout=0.1,
        dtype=None,
        name="bert_text_classifier",
        **kwargs,
    ):
        check_backbone(backbone)
        if labels is not None:
            labels = distinct_names("labels", labels)
            if num_classes not in (None, len(labels)):
                raise ValueError(
                    "`num_classes` must be the number of `labels`. Received: "
                    f"num_classes={num_classes}, {len(labels)} labels"
                )
            num_classes = len(labels)
        if num_classes is None or num_classes < 1:
            raise ValueError(
                "`num_classes` must be at least 1, unless `labels` are given. Received: "
                f"num_classes={num_classes}"
            )
        if "pooled_output" not in backbone.output:
            raise ValueError(
                '`backbone` must have a `pooled_output`; build or load it with pooling="mean" or '
                f'"cls". Received: a backbone with {sorted(backbone.output)}'
            )
        # === Layers ===
        drop = keras.layers.Dropout(dropout, dtype=dtype, name="dropout")
        scores = keras.layers.Dense(
            num_classes, kernel_initializer=initializer(), dtype="float32", name="scores"
        )

        # === Functional graph ===
        inputs = fresh_inputs(backbone)
        logits = scores(drop(backbone(inputs)["pooled_output"]))
        outputs = {"logits": logits}
        if num_classes > 1:
            outputs["probabilities"] = ops.softmax(logits)
        super().__init__(
            backbone=backbone, inputs=inputs, outputs=outputs, dtype=dtype, name=name, **kwargs
        )

        # === Config ===
        self.num_classes = num_classes
        self.labels = labels
        self.dropout = dropout
        self.scores = scores

    @property
    def head_layers(self):
        return (self.scores,)

    def compute_loss(
        self, x: Any = None, y=None, y_pred: Any = None, sample_weight=None, training=True
    ):
        """The mean over texts of the cross-entropy with class ids `y` (B,), or of the squared error
        with numbers; the penalties of the weights are added.

        Raises:
            ValueError: `y` has another shape, such as that of one-hot rows.
            tf.errors.InvalidArgumentError: an id is no class's; see `checked_ids`.
        """
        logits = y_pred["logits"]
        if self.num_classes == 1:
            y = ops.reshape(ops.cast(y, "float32"), (-1,))
            each = ops.square(logits[:, 0] - y)
        else:
            y = checked_ids(y, self.num_classes, "classes")
            y = ops.reshape(ops.cast(y, "int32"), (-1,))
            each = ops.sparse_categorical_crossentropy(y, logits, from_logits=True)
        return self.total_loss(mean_loss(each, sample_weight=sample_weight))

    def serving_outputs(self, outputs, inputs):
        """`labels` and `probabilities` (B, C), and the best of each text, `label` and `probability`
        (B,); with one class the number as `score` (B,).
        """
        from .serving import label_strings

        return label_strings(self.label_names(), outputs)

    def serving_signatures(self):
        """`pairs`: `sentences` and `pairs`, string (B,) each, answered as sentences are."""
        from .serving import pair_signature

        return pair_signature(self)

    def label_names(self):
        """The names of the classes; "0", "1" … if there are none."""
        return self.labels or [str(i) for i in range(self.num_classes)]

    @classmethod
    def arguments_from(cls, checkpoint):
        labels, kind = labels_from(checkpoint), checkpoint.config.get("problem_type")
        several = kind == "regression" and len(labels or ()) > 1
        if several or kind == "multi_label_classification":
            raise ValueError(
                '`problem_type` must be "single_label_classification", or "regression" of one '
                f"number. Received: problem_type={kind!r} with the classes {labels}"
            )
        if labels:
            return {"labels": labels, **dropout_from(checkpoint)}
        found = checkpoint.tensors.get("output_weights")
        return {} if found is None else {"num_classes": found.shape[0]}

    def huggingface_config(self):
        kind = "regression" if self.num_classes == 1 else "single_label_classification"
        return {"problem_type": kind, **class_config(self.label_names(), self.dropout)}

    def get_config(self):
        return {
            **super().get_config(),
            "num_classes": self.num_classes,
            "labels": self.labels,
            "dropout": self.dropout,
        }
