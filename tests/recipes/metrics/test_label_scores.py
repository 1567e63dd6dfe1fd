"""Scores of labels against their formulas."""

import numpy as np
import pytest

from polysemy.recipes.metrics import label_scores

TRUE = np.array([0, 1, 1, 0, 1, 1, 0, 1])
GUESS = np.array([0, 1, 0, 1, 1, 1, 0, 0])


def test_formulas():
    tp, tn, fp, fn = 3, 2, 1, 2
    scores = label_scores(TRUE, GUESS, ["accuracy", "f1", "matthews"])
    assert scores == {
        "accuracy": pytest.approx(5 / 8),
        "f1": pytest.approx(2 * tp / (2 * tp + fp + fn)),
        "matthews": pytest.approx(
            (tp * tn - fp * fn) / np.sqrt((tp + fp) * (tp + fn) * (tn + fp) * (tn + fn))
        ),
    }


def test_correlations():
    x = np.array([0.0, 1.0, 2.0, 5.0])
    scores = label_scores(x, [1.0, 2.0, 4.0, 3.0], ["pearson", "spearman"])
    assert scores["pearson"] == pytest.approx(np.corrcoef(x, [1.0, 2.0, 4.0, 3.0])[0, 1])
    assert scores["spearman"] == pytest.approx(np.corrcoef(range(4), [0, 1, 3, 2])[0, 1])


def test_undefined_scores_are_zero():
    ones = np.ones(4, int)
    assert label_scores(1 - ones, ones * 0, ["f1"]) == {"f1": 0.0}
    assert label_scores(TRUE[:4], ones, ["matthews"]) == {"matthews": 0.0}
    assert label_scores(ones, ones, ["matthews"])["matthews"] == 0.0
    assert label_scores([1.0, 2.0], [3.0, 3.0], ["spearman"]) == {"spearman": 0.0}


def test_errors():
    with pytest.raises(ValueError, match="as many examples.*Received: 2 and 1"):
        label_scores([1, 0], [1])
    with pytest.raises(ValueError, match="`names` must be of accuracy.*'mathews'"):
        label_scores([1], [1], ["mathews"])
