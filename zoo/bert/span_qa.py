from typing import Any

import keras
from keras import ops

from ..backbone import fresh_inputs
from ..given import check_backbone
from ..mean_loss import mean_loss
from .backbone import initializer
from .task import BertTask
from .weights import SPAN_PARTS


@keras.saving.register_keras_serializable(package="polysemy")
class BertSpanQA(BertTask):
    """Answers a question by a span of a context: scores where it begins and where it ends.

    Reads `[CLS] question [SEP] context [SEP]`; a span that is [CLS] alone says that there is no
    answer. Targets: `{"start": (B,), "end": (B,)}` positions, the end inclusive.

    `answer` takes texts of any length: it cuts contexts into windows and puts the spans' scores
    together.

    Shapes: B batch, L positions, K answers.

    Inputs (dict): those of the backbone.

    Outputs (dict):
        start_logits, end_logits: (B, L) float32, -1e9 at padding.

    Args:
        backbone: `Bert`.
        window_length: int. Positions of a window; by default 384, or what the backbone has.
        stride: int. Pieces from one window's start to the next one's, at most what a window holds
            of the context; by default a third of a window.
        max_question_length: int. Pieces of a question that are kept; by default a sixth of a
            window.
        max_answer_length: int. Pieces.
        null_answers: bool. A question may have no answer, as in SQuAD 2.0.
        null_threshold: float. There is none where the score for that beats the best answer's by
            more; tuned on a development set.

    Example:
    >>> from polysemy.zoo import Bert
    >>> words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "who", "jordan", "sleep", "##s"]
    >>> bert = Bert(words, num_layers=1, num_heads=2, hidden_dim=8)
    >>> found = BertSpanQA(bert).answer(["Who sleeps"], ["Jordan sleeps"], num_answers=3)
    >>> found["answers"].shape
    TensorShape([1, 3])

    Reference: [Devlin et al., 2018](https://arxiv.org/abs/1810.04805), sections 4.2 and 4.3.
    """

    huggingface_class = "BertForQuestionAnswering"
    head_parts = SPAN_PARTS

    def __init__(
        self,
        backbone,
        window_length=None,
        stride=None,
        max_question_length=None,
        max_answer_length=30,
        null_answers=False,
        null_threshold=0.0,
        dtype=None,
        name="bert_span_qa",
        **kwargs,
    ):
        check_backbone(backbone)
        if window_length is None:
            window_length = min(384, backbone.max_length)
        if not 5 <= window_length <= backbone.max_length:
            raise ValueError(
                "`window_length` must be at most the backbone's `max_length` and at least 5, for "
                "[CLS], a piece of the question, [SEP], one of the context and [SEP]. Received: "
                f"window_length={window_length}, max_length={backbone.max_length}"
            )
        stride = window_length // 3 if stride is None else stride
        if max_question_length is None:
            max_question_length = max(window_length // 6, 1)
        if max_question_length < 1:
            raise ValueError(
                "`max_question_length` must be at least 1. Received: "
                f"max_question_length={max_question_length}"
            )
        if not 1 <= stride <= window_length - max_question_length - 3:
            raise ValueError(
                "`stride` must be at least 1 and at most `window_length` - `max_question_length` - "
                f"3, what a window holds of the context. Received: stride={stride}, "
                f"window_length={window_length}, max_question_length={max_question_length}"
            )
        if max_answer_length < 1:
            raise ValueError(
                "`max_answer_length` must be at least 1. Received: "
                f"max_answer_length={max_answer_length}"
            )
        # === Layers ===
        scores = keras.layers.Dense(
            2, kernel_initializer=initializer(), dtype="float32", name="scores"
        )

        # === Functional graph ===
        inputs = fresh_inputs(backbone)
        logits = scores(backbone(inputs)["sequence_output"])  # (B, L, 2)
        mask = ops.expand_dims(inputs["padding_mask"], -1)
        logits = ops.where(mask, logits, -1e9)
        outputs = {"start_logits": logits[..., 0], "end_logits": logits[..., 1]}
        super().__init__(
            backbone=backbone, inputs=inputs, outputs=outputs, dtype=dtype, name=name, **kwargs
        )

        # === Config ===
        self.window_length = window_length
        self.stride = stride
        self.max_question_length = max_question_length
        self.max_answer_length = max_answer_length
        self.null_answers = null_answers
        self.null_threshold = null_threshold
        self.scores = scores

    @property
    def head_layers(self):
        return (self.scores,)

    def compute_loss(
        self, x: Any = None, y: Any = None, y_pred: Any = None, sample_weight=None, training=True
    ):
        """The mean over rows of both positions' cross-entropies, which are averaged."""
        each = [
            ops.sparse_categorical_crossentropy(
                ops.cast(y[name], "int32"), y_pred[f"{name}_logits"], from_logits=True
            )
            for name in ("start", "end")
        ]
        each = (each[0] + each[1]) / 2  # (B,)
        return self.total_loss(mean_loss(each, sample_weight=sample_weight))

    def answer(self, questions, contexts, num_answers=5):
        """The best answers, in TensorFlow's graph.

        Args:
            questions, contexts: string (B,) or list of str, one of each.
            num_answers: int. K.

        Returns:
            dict: `answers` (B, K) string, best first, each text once, "" where there is no further
            one among the best 4 K + 16 spans; `starts`
            and `ends` (B, K) int64, the characters of the context that they are, the end exclusive;
            `scores` (B, K) float32, the sum of both logits; `probabilities` (B, K) float32, softmax
            of the scores, with `null_answers` against the null score; `null_scores` (B,) float32;
            and `answer` (B,) string, the best one, or "" if with `null_answers` there is none.

        Raises:
            ValueError: `questions` or `contexts` is no batch, they are not equally many, or
                `num_answers` is below 1.
        """
        from .answering import answer

        return answer(self, questions, contexts, num_answers)

    def serving_signatures(self):
        """`answer`: `questions` and `contexts`, string (B,) each, answered as by `answer`."""
        from .answering import answer_signature

        return answer_signature(self)

    def get_config(self):
        names = (
            *("window_length", "stride", "max_question_length", "max_answer_length"),
            *("null_answers", "null_threshold"),
        )
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}
