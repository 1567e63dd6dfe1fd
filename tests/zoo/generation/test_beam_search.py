"""Beam search against a search in numpy, and against all sequences there are."""

import itertools

import numpy as np
import pytest

from polysemy.zoo.generation import Sampling

PROMPTS = [[1, 2, 3, 4], [5], [7, 7, 2]]


def log_softmax(x):
    x = x - np.max(x)
    return x - np.log(np.exp(x).sum())


def penalty(length, alpha):
    return ((5 + length) / 6) ** alpha


def search(toy, prompt, beams, count, stop, alpha):
    """The search as its docstring describes it, with lists."""
    alive, finished = [(0.0, [])], []
    for n in range(count):
        found = sorted(
            (
                (score + value, [*ids, token])
                for score, ids in alive
                for token, value in enumerate(log_softmax(toy.logits([*prompt, *ids])))
            ),
            key=lambda pair: -pair[0],
        )
        finished += [
            (score / penalty(n + 1, alpha), ids[:-1])
            for score, ids in found[:beams]
            if ids[-1] in stop
        ]
        alive = [pair for pair in found if pair[1][-1] not in stop][:beams]
        if len(finished) >= beams:
            break
    else:
        finished += [(score / penalty(count, alpha), ids) for score, ids in alive]
    return max(finished, key=lambda pair: pair[0])


@pytest.mark.parametrize("beams", [2, 4])
@pytest.mark.parametrize("alpha", [0.0, 1.0])
def test_the_search_finds_what_numpy_finds(toy, generator, rows, beams, alpha):
    sampling = Sampling(max_length=7, num_beams=beams, length_penalty=alpha)
    for stop in ([], [3], [3, 8]):
        answer = generator(PROMPTS, sampling, stop_tokens=stop)
        expected = [search(toy, prompt, beams, 7, stop, alpha) for prompt in PROMPTS]
        assert rows(answer) == [ids for _, ids in expected]
        np.testing.assert_allclose(answer["scores"], [s for s, _ in expected], rtol=1e-5)


def test_many_beams_find_the_best_of_all_sequences(toy, generator, rows):
    def score(ids):
        return sum(log_softmax(toy.logits([5, *ids[:i]]))[token] for i, token in enumerate(ids))

    best = max(itertools.product(range(11), repeat=3), key=score)
    answer = generator([[5]], Sampling(max_length=3, num_beams=121))
    assert rows(answer) == [list(best)]
    np.testing.assert_allclose(answer["scores"], [score(best)], rtol=1e-5)


def test_one_beam_is_greedy(generator, rows):
    """The search itself with one beam; `Sampling(num_beams=1)` does not enter it."""
    sampling = Sampling(max_length=9, min_length=2, repetition_penalty=1.2)
    for stop in ([], [3], [8, 2]):
        expected = generator(PROMPTS, sampling, stop_tokens=stop)
        ids = np.zeros((3, 4), "int32")
        for row, prompt in zip(ids, PROMPTS, strict=True):
            row[: len(prompt)] = prompt
        lengths = np.array([len(prompt) for prompt in PROMPTS], "int32")
        stops, seeds = np.array(stop, "int32"), np.zeros(3, "int64")
        found = generator._search(ids, lengths, sampling.tensors(), stops, seeds)
        assert rows(found) == rows(expected)


def test_a_longer_text_wins_with_a_penalty(generator):
    lengths = [
        generator(
            PROMPTS,
            Sampling(max_length=12, num_beams=4, length_penalty=alpha),
            stop_tokens=range(0, 11, 2),
        )["lengths"].numpy()
        for alpha in (0.0, 5.0)
    ]
    assert (lengths[1] >= lengths[0]).all() and (lengths[1] > lengths[0]).any()
