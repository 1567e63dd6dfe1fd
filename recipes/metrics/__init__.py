"""Metrics: thin; the counting of spans is seqeval's."""

from .accuracy import TokenAccuracy
from .perplexity import Perplexity
from .span_f1 import SpanF1, span_f1

__all__ = ["Perplexity", "SpanF1", "TokenAccuracy", "span_f1"]
