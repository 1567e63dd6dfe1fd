"""Span F1: precision, recall and F1 of typed spans, counted by seqeval in strict mode."""

import difflib
from collections.abc import Iterable, Sequence
from typing import Any

from seqeval.metrics.v1 import precision_recall_fscore_support
from seqeval.scheme import BILOU, IOB2, IOBES, Entities

from ..data import tag_schemes

_SEQEVAL = {"BIO": IOB2, "BIOES": IOBES, "BIOUL": BILOU}


class SpanF1:
    """Collects sentences and scores their spans; a span counts when start, end and type agree.

    Predicted spans are read strictly: in BIO an `I-` that continues no span is no span, so a tagger
    earns nothing with sequences that the scheme forbids (a CRF with constraints makes none). IO and
    IOB1, where every `I-` may start a span, are first rewritten as BIO.

    The program conlleval, and with it many papers, reads them leniently: there a stray `I-` starts
    a span. Where the tags break the scheme, the scores differ: gold `B-A I-A`, predicted
    `I-A I-A`, is a miss here and a hit there; a stray `I-` that is wrong costs precision there and
    nothing here.

    Args:
        scheme: str. Tag scheme of gold and prediction.
        tags: the tags that the model knows. None: any tag of the scheme.

    Example:
    >>> metric = SpanF1("BIO")
    >>> metric.update([["B-PER", "I-PER", "O"]], [["B-PER", "O", "O"]])
    >>> metric.update([["B-LOC"]], [["B-LOC"]])
    >>> metric.result()["f1"]
    0.5

    Reference: [seqeval](https://github.com/chakki-works/seqeval)
    """

    def __init__(self, scheme: str = "BIO", tags: Iterable[str] | None = None):
        self.scheme = tag_schemes.canonical_scheme(scheme)
        self.tags = None if tags is None else frozenset(tags)
        self.reset()

    def reset(self) -> None:
        """Forgets the sentences collected."""
        self._true: list[list[str]] = []
        self._predicted: list[list[str]] = []

    def update(self, true: Sequence[Sequence[str]], predicted: Sequence[Sequence[str]]) -> None:
        """Adds sentences: per sentence one tag a token, without padding.

        Raises:
            ValueError: numbers of sentences or tokens differ, or a tag is unknown to the model or
                the scheme; nothing is added then.
        """
        if len(true) != len(predicted):
            raise ValueError(
                "`true` and `predicted` must hold as many sentences. Received: "
                f"{len(true)} and {len(predicted)}"
            )
        first = len(self._true)
        for number, (gold, guess) in enumerate(zip(true, predicted, strict=True), start=first):
            if len(gold) != len(guess):
                raise ValueError(
                    f"`true` and `predicted` must hold as many tags for each sentence. Received: "
                    f"{len(gold)} and {len(guess)} for sentence {number}"
                )
            self._check(gold, "true", number)
            self._check(guess, "predicted", number)
        self._true.extend(self._rewritten(gold) for gold in true)
        self._predicted.extend(self._rewritten(guess) for guess in predicted)

    def result(self) -> dict:
        """Returns the scores of all sentences so far.

        Returns:
            dict of `precision`, `recall`, `f1` (micro averages, 0 to 1; 0 where undefined),
            `support` (gold spans), and `types`: dict of the same four by span type.
        """
        scheme = _SEQEVAL.get(self.scheme, IOB2)
        # Parsed once and handed over: parsing is what costs.
        gold = Entities(self._true, scheme, False)
        guess = Entities(self._predicted, scheme, False)
        types = sorted(gold.unique_tags | guess.unique_tags)

        # A dict, since seqeval annotates `zero_division` as str and takes 0.
        options: dict[str, Any] = {
            "scheme": scheme,
            "zero_division": 0,
            "entities_true": gold,
            "entities_pred": guess,
        }

        def score(average) -> Any:
            return precision_recall_fscore_support(
                self._true, self._predicted, average=average, **options
            )

        names = ("precision", "recall", "f1", "support")
        if not types:
            return {"precision": 0.0, "recall": 0.0, "f1": 0.0, "support": 0, "types": {}}
        columns = [column.tolist() for column in score(None)]
        by_type = {
            kind: dict(zip(names, row, strict=True))
            for kind, row in zip(types, zip(*columns, strict=True), strict=True)
        }
        precision, recall, f1, support = score("micro")
        return {
            "precision": float(precision),
            "recall": float(recall),
            "f1": float(f1),
            "support": int(support),
            "types": by_type,
        }

    def _check(self, tags, name, number) -> None:
        for position, tag in enumerate(tags):
            where = f"{tag!r} at token {position} of sentence {number} of `{name}`"
            if self.tags is not None and tag not in self.tags:
                near = difflib.get_close_matches(tag, self.tags, n=1, cutoff=0.0)
                raise ValueError(
                    f"Tags must be among the {len(self.tags)} that the model knows. Received: "
                    f"{where}; nearest: {near[0] if near else 'none'}"
                )
            try:
                tag_schemes.split_tag(tag, self.scheme)
            except ValueError as error:
                raise ValueError(f"{error}, {where}") from error

    def _rewritten(self, tags) -> list[str]:
        if self.scheme in _SEQEVAL:
            return list(tags)
        return tag_schemes.convert(tags, self.scheme, "BIO", strict=False)


def span_f1(
    true: Sequence[Sequence[str]],
    predicted: Sequence[Sequence[str]],
    scheme: str = "BIO",
    tags: Iterable[str] | None = None,
) -> dict:
    """Scores a whole set at once; arguments and result as in `SpanF1`.

    >>> scores = span_f1([["B-PER", "O"], ["B-LOC"]], [["B-PER", "O"], ["O"]])
    >>> scores["types"]["PER"]["f1"], scores["recall"]
    (1.0, 0.5)
    """
    metric = SpanF1(scheme, tags)
    metric.update(true, predicted)
    return metric.result()
