"""Data: readers that stream examples as dicts, tag schemes, length buckets, known corpora.

A reader of sentences yields `dict(tokens=[…], …)`, so any of them feeds `bucketed`; one of labeled
texts `dict(text=…, label=…)`, one of questions what `read_squad` says. `corpora`, `texts` and
`squad` know the corpora of each kind by name.
"""

from . import corpora, squad, texts
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
    "squad",
    "spans_to_tags",
    "tag_vocabulary",
    "tags_to_spans",
    "texts",
]
