"""Metrics: thin; the counting of spans is seqeval's, of labels scikit-learn's."""

from .accuracy import TokenAccuracy
from .label_scores import label_scores
from .perplexity import Perplexity
from .span_f1 import SpanF1, span_f1
from .squad_f1 import best_null_threshold, normalize_answer, squad_scores

__all__ = [
    "Perplexity",
    "SpanF1",
    "TokenAccuracy",
    "best_null_threshold",
    "label_scores",
    "normalize_answer",
    "span_f1",
    "squad_scores",
]
