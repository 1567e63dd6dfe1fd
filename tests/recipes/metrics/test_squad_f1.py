"""SQuAD's scores on answers whose official values are known, and the threshold by brute force."""

import numpy as np
import pytest

from polysemy.recipes.metrics.squad_f1 import (
    answer_scores,
    best_null_threshold,
    normalize_answer,
    squad_scores,
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The  Cat's Pyjamas!", "cats pyjamas"),
        ("an apple a day", "apple day"),
        ("anthem theatre", "anthem theatre"),  # no articles
        ("A.", ""),
        ("12–3", "12–3"),  # a dash beyond ASCII stays
        ("Ünïcode’s", "ünïcode’s"),
    ],
)
def test_normalization(text, expected):
    assert normalize_answer(text) == expected


@pytest.mark.parametrize(
    ("guess", "gold", "expected"),
    [
        ("in Rome", ["Rome"], (0.0, 2 / 3)),
        ("Rome Rome", ["Rome"], (0.0, 2 / 3)),  # a word counts as often as both have it
        ("Rome", ["in Rome", "Rome"], (1.0, 1.0)),
        ("", ["Rome"], (0.0, 0.0)),
        ("", [], (1.0, 1.0)),
        ("Rome", [], (0.0, 0.0)),
        ("the", ["The"], (1.0, 1.0)),  # nothing is left of either
        ("Rome", ["the", "Rome"], (1.0, 1.0)),
    ],
)
def test_one_answer(guess, gold, expected):
    assert answer_scores(guess, gold) == pytest.approx(expected)


def test_all_questions():
    answers = {"a": ["Rome"], "b": [], "c": ["Ada Lee"], "d": []}
    scores = squad_scores({"a": "Rome", "b": "", "c": "Ada"}, answers)
    assert scores == pytest.approx(
        {
            "f1": (1 + 1 + 2 / 3) / 4,
            "exact_match": 0.5,
            "answerable_f1": (1 + 2 / 3) / 2,
            "unanswerable_accuracy": 0.5,  # d was left out
        }
    )
    with pytest.raises(ValueError, match="questions in `answers`.*1 others, 'z' first"):
        squad_scores({"z": ""}, answers)
    with pytest.raises(ValueError, match="at least one question"):
        squad_scores({}, {})


@pytest.mark.parametrize("seed", range(5))
def test_threshold_against_every_choice(seed):
    rng = np.random.default_rng(seed)
    names = [f"q{i}" for i in range(12)]
    differences = {name: float(rng.integers(-4, 5)) for name in names}  # with ties
    guesses = {name: str(rng.choice(["Rome", "Ada Lee"])) for name in names}
    answers = {name: [] if rng.random() < 0.5 else ["Ada"] for name in names}

    def f1(threshold):
        chosen = {n: "" if differences[n] > threshold else guesses[n] for n in names}
        return squad_scores(chosen, answers)["f1"]

    threshold, best = best_null_threshold(differences, guesses, answers)
    assert f1(threshold) == pytest.approx(best)
    assert best == pytest.approx(max(f1(t) for t in np.arange(-6, 6, 0.5)))
