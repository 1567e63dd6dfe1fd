"""Scores of predicted labels and numbers, counted by scikit-learn and SciPy."""

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from scipy import stats
from sklearn import metrics


def _accuracy(true, predicted) -> float:
    return float(metrics.accuracy_score(true, predicted))


def _f1(true, predicted) -> float:
    # A dict, since scikit-learn annotates `zero_division` as str and takes 0.
    options: dict[str, Any] = {"zero_division": 0}
    return float(metrics.f1_score(true, predicted, pos_label=1, **options))


def _matthews(true, predicted) -> float:
    with warnings.catch_warnings():
        # One class alone among truth and guesses: the coefficient is 0, as it should be.
        warnings.filterwarnings("ignore", message="A single label was found")
        return float(metrics.matthews_corrcoef(true, predicted))


def _correlation(function) -> Callable[..., float]:
    def correlation(true, predicted) -> float:
        if len(true) < 2 or np.ptp(true) == 0 or np.ptp(predicted) == 0:
            return 0.0  # undefined: nothing varies
        return float(function(true, predicted).statistic)

    return correlation


SCORES: dict[str, Callable[..., float]] = {
    "accuracy": _accuracy,
    "f1": _f1,
    "matthews": _matthews,
    "pearson": _correlation(stats.pearsonr),
    "spearman": _correlation(stats.spearmanr),
}


def label_scores(
    true: Sequence[float] | np.ndarray,
    predicted: Sequence[float] | np.ndarray,
    names: Sequence[str] = ("accuracy",),
) -> dict[str, float]:
    """Scores predictions, one for each example.

    Args:
        true: labels as ints, or numbers.
        predicted: as many.
        names: of "accuracy", "f1" (of class 1 of two), "matthews" (Matthews' correlation, CoLA's
            score), "pearson", "spearman".

    Returns:
        dict of name to score; a correlation or F1 that is undefined is 0.

    Raises:
        ValueError: an unknown name, or unequal or no examples.

    Example:
    >>> label_scores([0, 1, 1, 1], [0, 1, 1, 0], ["accuracy", "f1"])
    {'accuracy': 0.75, 'f1': 0.8}
    """
    if len(true) != len(predicted) or len(true) == 0:
        raise ValueError(
            "`true` and `predicted` must hold as many examples, at least one. Received: "
            f"{len(true)} and {len(predicted)}"
        )
    unknown = [name for name in names if name not in SCORES]
    if unknown:
        raise ValueError(f"`names` must be of {', '.join(SCORES)}. Received: {unknown}")
    return {name: SCORES[name](np.asarray(true), np.asarray(predicted)) for name in names}
