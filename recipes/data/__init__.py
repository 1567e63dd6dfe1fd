"""Data: readers that stream sentences as dicts, tag schemes, length buckets, known corpora.

Every reader yields `dict(tokens=[…], …)` per sentence, so any of them feeds `bucketed`.
"""

from . import corpora
from .buckets import bucketed, count_batches
from .columns import read_columns
from .conllu import read_conllu
from .files import read_lines, resolve
from .tag_schemes import SCHEMES, Span, convert, spans_to_tags, tag_vocabulary, tags_to_spans
from .tokens import read_tokens

__all__ = [
    "SCHEMES",
    "Span",
    "bucketed",
    "convert",
    "corpora",
    "count_batches",
    "read_columns",
    "read_conllu",
    "read_lines",
    "read_tokens",
    "resolve",
    "spans_to_tags",
    "tag_vocabulary",
    "tags_to_spans",
]
