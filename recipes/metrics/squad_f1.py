"""Exact match and F1 of answers, as SQuAD's evaluation programs count them."""

import re
import string
from collections import Counter
from collections.abc import Mapping, Sequence

_ARTICLES = re.compile(r"\b(a|an|the)\b")
_PUNCTUATION = str.maketrans("", "", string.punctuation)


def normalize_answer(text: str) -> str:
    """Lower case, without ASCII punctuation and articles, single blanks.

    >>> normalize_answer("  The U.S.  Army,")
    'us army'
    """
    return " ".join(_ARTICLES.sub(" ", text.lower().translate(_PUNCTUATION)).split())


def answer_scores(prediction: str, answers: Sequence[str]) -> tuple[float, float]:
    """Exact match and F1 of one prediction: the best over the answers.

    A question without answers is right where the prediction is empty. So is, in SQuAD 2.0, an
    answer that normalization leaves empty; F1 then counts like exact match.

    Args:
        prediction: str; "" says that there is no answer.
        answers: str, as annotated; none for a question that cannot be answered.

    Returns:
        (exact match, F1), 0 to 1.

    >>> answer_scores("the Normans", ["Normans", "Norman people"])
    (1.0, 1.0)
    """
    # As in SQuAD 2.0: answers of which nothing is left do not count unless there is no other.
    gold = [answer for answer in answers if normalize_answer(answer)] or [""]
    guess = normalize_answer(prediction)
    scores = [_pair(guess, normalize_answer(answer)) for answer in gold]
    return max(exact for exact, _ in scores), max(f1 for _, f1 in scores)


def _pair(guess: str, gold: str) -> tuple[float, float]:
    exact = float(guess == gold)
    guess_words, gold_words = guess.split(), gold.split()
    if not guess_words or not gold_words:
        return exact, float(guess_words == gold_words)
    common = sum((Counter(guess_words) & Counter(gold_words)).values())
    if not common:
        return exact, 0.0
    precision, recall = common / len(guess_words), common / len(gold_words)
    return exact, 2 * precision * recall / (precision + recall)


def squad_scores(
    predictions: Mapping[str, str], answers: Mapping[str, Sequence[str]]
) -> dict[str, float]:
    """Means of exact match and F1 over all questions; a question without prediction is wrong.

    Args:
        predictions: question id → text; "" says that there is no answer.
        answers: question id → annotated answers; none for a question that cannot be answered.

    Returns:
        dict of `f1` and `exact_match`, 0 to 1; where some questions cannot be answered, also
        `answerable_f1` and `unanswerable_accuracy`.

    Raises:
        ValueError: there is no question, or a prediction of an unknown one.

    Example:
    >>> squad_scores({"q1": "in Rome"}, {"q1": ["Rome"], "q2": ["Ada"]})
    {'f1': 0.333..., 'exact_match': 0.0}

    Reference: [Rajpurkar et al., 2016](https://arxiv.org/abs/1606.05250),
    [Rajpurkar et al., 2018](https://arxiv.org/abs/1806.03822)
    """
    if not answers:
        raise ValueError("`answers` must hold at least one question. Received: none")
    unknown = [name for name in predictions if name not in answers]
    if unknown:
        raise ValueError(
            "`predictions` must be of questions in `answers`. Received: "
            f"{len(unknown)} others, {unknown[0]!r} first"
        )
    # None, not "": a question that was left out is wrong even where no answer is right.
    scores = {
        name: (0.0, 0.0) if name not in predictions else answer_scores(predictions[name], gold)
        for name, gold in answers.items()
    }
    exact, f1 = (_mean([pair[i] for pair in scores.values()]) for i in range(2))
    result = {"f1": f1, "exact_match": exact}
    without = [name for name, gold in answers.items() if not gold]
    if without:
        with_answer = [scores[name][1] for name, gold in answers.items() if gold]
        result["answerable_f1"] = _mean(with_answer)
        result["unanswerable_accuracy"] = _mean([scores[name][0] for name in without])
    return result


def best_null_threshold(
    differences: Mapping[str, float],
    predictions: Mapping[str, str],
    answers: Mapping[str, Sequence[str]],
) -> tuple[float, float]:
    """Finds the τ of SQuAD 2.0: no answer is given where `null score - best span's score` exceeds
    it.

    Args:
        differences: question id → null score minus the best span's score.
        predictions: question id → the best span's text, never "".
        answers: as of `squad_scores`.

    Returns:
        (τ, the F1 that it gives). τ is one of the differences, or below all of them.

    Example:
    >>> best_null_threshold({"a": -2.0, "b": 3.0}, {"a": "Rome", "b": "Bo"}, {"a": ["Rome"],
    ...     "b": []})
    (-2.0, 1.0)
    """
    order = sorted(differences, key=lambda name: differences[name])
    # Below every difference nothing is answered: right are the questions without answers.
    correct = float(sum(not answers[name] for name in answers))
    best, threshold = correct, min(differences.values(), default=0.0) - 1.0
    for position, name in enumerate(order):
        # τ at this question's difference: it is answered, and so is all before it.
        correct += answer_scores(predictions[name], answers[name])[1] if answers[name] else -1.0
        following = order[position + 1] if position + 1 < len(order) else None
        tied = following is not None and differences[following] == differences[name]
        if correct > best and not tied:
            best, threshold = correct, differences[name]
    return threshold, best / len(answers)


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else 0.0
