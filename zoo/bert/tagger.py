from typing import Any

import keras

from ...layers.gather_words import GatherWords
from ..backbone import fresh_inputs
from ..given import check_backbone, distinct_names
from ..tagger.head import new_crf, tag_loss, tag_outputs
from .backbone import initializer
from .task import BertTask, class_config, dropout_from, labels_from
from .weights import CLASSIFIER_PARTS


@keras.saving.register_keras_serializable(package="polysemy")
class BertTagger(BertTask):
    """Gives each word a tag by its first piece: BERT, a linear layer, softmax or CRF.

    The paper has no CRF. `Tagger` puts biLSTMs upon the encoder instead, as in its feature-based
    use. Targets are tag ids (B, W); whatever stands at padding counts nothing.

    Shapes: B batch, L positions, W words, T tags.

    Inputs (dict), as `model.preprocessor.tokens(words)` makes them: those of the backbone, and
        word_positions: (B, W) int32. Where each word's first piece stands.
        word_mask: (B, W) bool. True at words; False at padding, and where words were cut off
            because the text is too long.

    Outputs (dict):
        logits: (B, W, T) float32. With a CRF, the scores before transitions.
        tag_ids: (B, W) int32. The best tags; with a CRF the best allowed path.
        probabilities: (B, W, T) float32. Softmax, or the CRF's marginals.

    Args:
        backbone: `Bert`, or any backbone that splits words.
        tags: list of str, distinct.
        head: "softmax" or "crf".
        scheme: "BIO", "BIOES" or None. Tag scheme whose rules the CRF keeps; None without a CRF.
        dropout: float.

    Example:
    >>> from polysemy.zoo import Bert
    >>> words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "jordan", "sleep", "##s"]
    >>> bert = Bert(words, num_layers=1, num_heads=2, hidden_dim=8)
    >>> tagger = BertTagger(bert, tags=["O", "B-PER", "I-PER"])
    >>> tagger(tagger.preprocessor(["Jordan sleeps"]))["tag_ids"].shape
    TensorShape([1, 2])

    Reference: [Devlin et al., 2018](https://arxiv.org/abs/1810.04805), section 5.3.
    """

    huggingface_class = "BertForTokenClassification"
    head_parts = CLASSIFIER_PARTS

    def __init__(
        self,
        backbone,
        tags,
        head="softmax",
        scheme=None,
        dropout=0.1,
        dtype=None,
        name="bert_tagger",
        **kwargs,
    ):
        if head not in ("softmax", "crf"):
            raise ValueError(f'`head` must be "softmax" or "crf". Received: head={head!r}')
        check_backbone(backbone)
        if not backbone.splits_words:
            raise ValueError(
                "`backbone` must be one that splits words; `Tagger` takes any. Received: "
                f"{type(backbone).__name__}"
            )
        tags = distinct_names("tags", tags)
        # === Layers ===
        gather = GatherWords(dtype=dtype, name="gather_words")
        drop = keras.layers.Dropout(dropout, dtype=dtype, name="dropout")
        scores = keras.layers.Dense(
            len(tags), kernel_initializer=initializer(), dtype="float32", name="scores"
        )
        crf = new_crf(tags, head, scheme)

        # === Functional graph ===
        inputs = fresh_inputs(backbone)
        encoded = backbone(dict(inputs))["sequence_output"]
        inputs["word_positions"] = keras.Input((None,), dtype="int32", name="word_positions")
        mask = inputs["word_mask"] = keras.Input((None,), dtype="bool", name="word_mask")
        logits = scores(drop(gather(encoded, inputs["word_positions"])))
        outputs = tag_outputs(logits, mask, crf)
        super().__init__(
            backbone=backbone, inputs=inputs, outputs=outputs, dtype=dtype, name=name, **kwargs
        )

        # === Config ===
        self.tags = tags
        self.head = head
        self.scheme = scheme
        self.dropout = dropout
        self.scores = scores
        self.crf = crf

    @property
    def head_layers(self):
        return (self.scores,) if self.crf is None else (self.scores, self.crf)

    def make_preprocessor(self):
        if self.backbone is None or self.backbone.preprocessor is None:
            return None
        from .tagger_preprocessor import BertTaggerPreprocessor

        return BertTaggerPreprocessor(self.backbone.preprocessor)

    def compute_loss(
        self, x: Any = None, y=None, y_pred: Any = None, sample_weight=None, training=True
    ):
        """The mean over words of the cross-entropy with tag ids `y` (B, W), or with a CRF the mean
        over sentences of the negative log-likelihood.

        Raises:
            ValueError: `y` has another shape than the words.
            tf.errors.InvalidArgumentError: an id at a word is no tag's; see `tag_loss`.
        """
        loss = tag_loss(y, y_pred["logits"], x["word_mask"], self.crf, sample_weight)
        return self.total_loss(loss)

    def serving_outputs(self, outputs, inputs):
        """`tokens` and `tags` (B, W) string, "" at padding; the tags' `probabilities` (B, W)."""
        from .serving import word_tags

        return word_tags(self.tags, outputs, inputs)

    @classmethod
    def arguments_from(cls, checkpoint):
        return {"tags": labels_from(checkpoint) or (), **dropout_from(checkpoint)}

    @classmethod
    def from_checkpoint(cls, path, allow_pickle=False, backbone=None, **arguments):
        if arguments.get("head", "softmax") != "softmax":
            raise ValueError(
                '`head` must be "softmax": no published checkpoint has a CRF. Received: '
                f"head={arguments['head']!r}"
            )
        return super().from_checkpoint(path, allow_pickle, backbone, **arguments)

    def save_as_huggingface(self, directory):
        """Writes a folder that `transformers.BertForTokenClassification` loads.

        Raises:
            FileExistsError, ValueError: see `BertTask.save_as_huggingface`; also with a CRF.
        """
        if self.crf is not None:
            raise ValueError(
                '`head` must be "softmax" for Hugging Face, which has no CRF. Received: '
                f"head={self.head!r}"
            )
        super().save_as_huggingface(directory)

    def huggingface_config(self):
        return class_config(self.tags, self.dropout)

    def get_config(self):
        return {
            **super().get_config(),
            "tags": self.tags,
            "head": self.head,
            "scheme": self.scheme,
            "dropout": self.dropout,
        }
