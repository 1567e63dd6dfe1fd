"""Greedy decoding, drawing and penalties against numpy."""

import resource

import numpy as np
import pytest
import tensorflow as tf

from polysemy.zoo.generation import Generator, Sampling

PROMPTS = [[1, 2, 3, 4], [5], [7, 7, 2]]


def softmax(x):
    e = np.exp(x - np.max(x))
    return e / e.sum()


def greedy(toy, prompt, count, stop=(), change=lambda logits, ids: logits):
    ids = list(prompt)
    for _ in range(count):
        best = int(np.argmax(change(toy.logits(ids), ids)))
        if best in stop:
            break
        ids.append(best)
    return ids[len(prompt) :]


def test_greedy_is_the_best_token_each_time(toy, generator, rows):
    expected = [greedy(toy, prompt, 12) for prompt in PROMPTS]
    answer = generator(PROMPTS, Sampling(max_length=12))
    assert rows(answer) == expected
    ids, score = list(PROMPTS[1]), 0.0
    for token in expected[1]:
        score += np.log(softmax(toy.logits(ids))[token])
        ids.append(token)
    np.testing.assert_allclose(answer["scores"][1], score, rtol=1e-5)


def test_a_row_does_not_depend_on_its_neighbors(generator, rows):
    for sampling in (
        Sampling(max_length=9),
        Sampling(max_length=9, temperature=1.5),
        Sampling(max_length=9, num_beams=3),
    ):
        together = rows(generator(PROMPTS, sampling, seeds=[4, 5, 6]))
        for prompt, seed, expected in zip(PROMPTS, (4, 5, 6), together, strict=True):
            assert rows(generator([prompt], sampling, seeds=[seed])) == [expected]


def test_stop_tokens_end_a_row(toy, generator, rows):
    free = greedy(toy, PROMPTS[0], 12)
    stop = free[4]
    answer = generator(PROMPTS, Sampling(max_length=12), stop_tokens=[stop])
    assert rows(answer) == [greedy(toy, prompt, 12, [stop]) for prompt in PROMPTS]
    assert len(rows(answer)[0]) <= 4
    longer = generator(PROMPTS, Sampling(max_length=12, min_length=10), stop_tokens=[stop])

    def without_stop(logits, ids):
        return np.where((np.arange(11) == stop), -1e9, logits)

    assert rows(longer)[0][:10] == greedy(toy, PROMPTS[0], 10, change=without_stop)


def test_repetition_penalty(toy, generator, rows):
    def change(logits, ids):
        lowered = np.where(logits < 0, logits * 1.7, logits / 1.7)
        return np.where(np.isin(np.arange(11), ids), lowered, logits)

    answer = generator(PROMPTS, Sampling(max_length=12, repetition_penalty=1.7))
    assert rows(answer) == [greedy(toy, prompt, 12, change=change) for prompt in PROMPTS]


@pytest.mark.parametrize("size", [1, 2, 3])
def test_no_ngram_comes_twice(toy, generator, rows, size):
    def change(logits, ids):
        logits = np.array(logits)
        start = tuple(ids[len(ids) - size + 1 :])
        for i in range(len(ids) - size + 1):
            if tuple(ids[i : i + size - 1]) == start:
                logits[ids[i + size - 1]] = -1e9
        return logits

    count = 6 if size == 1 else 16
    answer = generator(PROMPTS, Sampling(max_length=count, no_repeat_ngram=size))
    found = rows(answer)
    assert found == [greedy(toy, prompt, count, change=change) for prompt in PROMPTS]
    longer = generator(PROMPTS, Sampling(max_length=count, no_repeat_ngram=2**31 - 1))
    assert rows(longer) == [greedy(toy, prompt, count) for prompt in PROMPTS]
    for prompt, added in zip(PROMPTS[:2], found, strict=False):
        ids = [*prompt, *added]
        ngrams = [tuple(ids[i : i + size]) for i in range(len(ids) - size + 1)]
        assert len(set(ngrams)) == len(ngrams)


OPTIONS = [
    {"temperature": 1.0},
    {"temperature": 0.7},
    {"temperature": 1.3, "top_k": 4},
    {"temperature": 1.0, "top_p": 0.6},
    {"temperature": 1.2, "top_k": 6, "top_p": 0.8},
]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_drawing_follows_the_distribution(toy, generator, options):
    number, prompt = 4000, [1, 2]
    sampling = Sampling(max_length=1, **options)
    answer = generator([prompt] * number, sampling, seeds=range(number))
    counts = np.bincount(answer["token_ids"].numpy()[:, 0], minlength=11)

    p = softmax(toy.logits(prompt) / options["temperature"])
    order = np.argsort(-p)
    keep = order[: options.get("top_k", 11)]
    q = p[keep] / p[keep].sum()
    if "top_p" in options:  # with the one that crosses the border
        number_kept = int(np.searchsorted(np.cumsum(q), options["top_p"])) + 1
        keep, q = keep[:number_kept], q[:number_kept] / q[:number_kept].sum()
    expected = np.zeros(11)
    expected[keep] = q * number
    assert counts[expected == 0].sum() == 0
    likely = expected > 0
    chi_square = np.sum((counts - expected)[likely] ** 2 / expected[likely])
    # 29.6 is exceeded once in a thousand with the ten degrees of freedom that there are at most.
    assert chi_square < 29.6


def test_a_seed_fixes_the_text(generator, rows):
    sampling = Sampling(max_length=10, temperature=2.0)
    one, other = (rows(generator([[3]], sampling, seeds=seed)) for seed in (1, 2))
    assert one != other
    assert rows(generator([[3], [3]], sampling, seeds=1)) == [*one, *other]
    shorter = Sampling(max_length=6, temperature=2.0)
    assert rows(generator([[3]], shorter, seeds=1))[0] == one[0][:6]


def test_nothing_is_traced_again(generator):
    generator(PROMPTS, Sampling(max_length=3), stop_tokens=[1, 2])
    generator(PROMPTS, Sampling(max_length=3, num_beams=2))
    for prompts in ([[1] * 9], [[2], [3]]):
        generator(prompts, Sampling(max_length=5, temperature=0.5, top_k=2), seeds=8)
        generator(prompts, Sampling(max_length=4, num_beams=3), stop_tokens=[4])
    assert generator._decode.experimental_get_tracing_count() == 1
    assert generator._search.experimental_get_tracing_count() == 1


def test_bad_prompts_and_seeds(generator):
    with pytest.raises(ValueError, match=r"must hold a token at least.*lengths \[2, 0\]"):
        generator([[1, 2], []])
    with pytest.raises(ValueError, match="fit the model's 40 positions.*38 tokens, max_length=3"):
        generator([[1] * 38], Sampling(max_length=3))
    assert generator([[1] * 38], Sampling(max_length=2))["lengths"].numpy() == [2]
    with pytest.raises(ValueError, match=r"`seeds` must be one number, or one for each prompt"):
        generator([[1]], Sampling(max_length=2), seeds=[1, 2])


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"prompts": [[1, -1], [11]]}, r"`prompts` must be ids from 0 to 10. Received: \[-1, 11\]"),
        ({"prompts": tf.ragged.constant([[1], [12]])}, r"`prompts` must be ids from 0 to 10.*\[12"),
        (
            {"prompts": tf.ragged.constant([["a"]])},
            "a ragged int tensor.*Received: string of shape",
        ),
        ({"prompts": "ab"}, "`prompts` must be a list of lists of int.*Received: prompts='ab'"),
        ({"prompts": [1, 2]}, r"`prompts` must be a list of lists.*Received: prompts=\[1, 2\]"),
        ({"prompts": [[1.5]]}, "`prompts` must be a list of lists of int"),
        ({"prompts": 3}, "`prompts` must be a list of lists of int.*prompts=3"),
        ({"stop_tokens": [4, 11]}, r"`stop_tokens` must be ids from 0 to 10. Received: \[11\]"),
        ({"stop_tokens": [-1]}, r"`stop_tokens` must be ids from 0 to 10. Received: \[-1\]"),
        ({"stop_tokens": "4"}, "`stop_tokens` must be a list of int. Received: stop_tokens='4'"),
        ({"seeds": 1.5}, "`seeds` must be one integer, or one for each.*Received: seeds=1.5"),
        ({"seeds": [True]}, "`seeds` must be one integer"),
        ({"sampling": {"max_length": 2}}, "`sampling` must be a `Sampling`. Received: sampling={"),
    ],
    ids=str,
)
def test_bad_arguments(toy, generator, arguments, message):
    assert generator.vocabulary_size == toy.vocabulary_size
    with pytest.raises(ValueError, match=message):
        generator(**{"prompts": [[1]], "sampling": Sampling(max_length=2), **arguments})


def test_ids_of_other_kinds(generator, rows):
    sampling = Sampling(max_length=2)
    expected = rows(generator([[1, 2], [3, 4]], sampling))
    for prompts in (np.array([[1, 2], [3, 4]]), tf.constant([[1, 2], [3, 4]]), ((1, 2), (3, 4))):
        assert rows(generator(prompts, sampling, seeds=tf.constant([2, 3]))) == expected
    ragged = tf.ragged.constant([[1, 2], [3, 4]], dtype=tf.int64)
    assert rows(generator(ragged, sampling, seeds=2**40, stop_tokens=np.array([], int))) == expected


def peak_memory():
    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def test_options_that_come_as_tensors_are_checked(generator):
    @tf.function(autograph=False)
    def run(lengths, tensors):
        ids, stops = tf.constant([[1, 2]]), tf.constant([], tf.int32)
        return generator.in_graph(ids, lengths, tensors, stops, tf.constant([0], tf.int64))

    def call(length=2, **options):
        return run(tf.constant([length]), {**Sampling(max_length=2).tensors(), **options})

    assert call()["lengths"].numpy().tolist() == [2]
    for options, message in (
        ({"max_length": tf.constant(0)}, "`max_length` must be at least 1"),
        ({"top_k": tf.constant(5)}, "must go with a `temperature` above 0"),
        ({"num_beams": tf.constant(0)}, "`num_beams` must be at least 1"),
        ({"max_length": tf.constant(39)}, "must fit the positions of the model, 40"),
        ({"max_length": tf.constant(2**31 - 1)}, "must fit the positions of the model, 40"),
        ({"repetition_penalty": tf.constant(np.inf)}, "`repetition_penalty` must be finite"),
    ):
        before = peak_memory()
        with pytest.raises(tf.errors.InvalidArgumentError, match=message):
            call(**options)
        assert peak_memory() - before < 2**30, options  # refused before anything is that long
    with pytest.raises(tf.errors.InvalidArgumentError, match="each must have a token"):
        call(length=0)


def test_what_an_encoder_reads_reaches_each_beam(toy, rows):
    inputs = np.random.default_rng(0).normal(size=(2, 6)).astype("f4")
    generator = Generator(toy, input_specs=tf.TensorSpec([None, 6], tf.float32))
    for sampling in (Sampling(max_length=8), Sampling(max_length=8, num_beams=2)):
        both = rows(generator([[1], [1]], sampling, inputs=tf.constant(inputs)))
        for row in range(2):
            alone = rows(generator([[1]], sampling, inputs=tf.constant(inputs[row : row + 1])))
            assert alone == both[row : row + 1]
        assert both[0] != both[1]
