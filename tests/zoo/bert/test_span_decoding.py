"""Windows and spans against a search by hand, and answers with their offsets."""

import numpy as np
import pytest
import tensorflow as tf

from polysemy import zoo
from polysemy.zoo.bert.span_decoding import NONE, best_spans, check_windows, windows

CONTEXTS = [
    "the cat sat on the mat. " * 5,
    "cats",
    "",
    "naïve  猫 the\u200b cat, \xff unaffable 😀 mat",
]
QUESTIONS = ["who sat?", "the cat sat on the mat who?", "", "who"]


@pytest.fixture
def model(make_bert, fill_weights):
    return fill_weights(zoo.BertSpanQA(make_bert(), max_answer_length=4))


def test_windows_cover_the_context():
    lengths = [0, 1, 5, 6, 7, 23]
    context = tf.ragged.constant([list(range(n)) for n in lengths], dtype=tf.int32)
    question = tf.ragged.constant([[1, 2]] * 5 + [[1, 2, 3, 4, 5]], dtype=tf.int32)
    found = windows(question, context, max_length=10, stride=3, max_question_length=3)
    for row, length in enumerate(lengths):
        mine = np.flatnonzero(found.row.numpy() == row)
        room = 10 - 3 - min(len(question[row]), 3)
        covered = set()
        for k, i in enumerate(mine):
            part = found.context[i].numpy().tolist()
            start = int(found.start[i])
            assert start == 3 * k and part == list(range(start, min(start + room, length)))
            covered |= set(part)
        assert covered == set(range(length)) and len(mine) >= 1
        assert len(mine) == 1 or len(found.context[mine[-1]]) > room - 3  # none is superfluous


def search(found, starts, ends, row, longest):
    """All spans of one question, best first, one window after the other."""
    mine = [i for i in range(len(found.row)) if found.row[i] == row]
    parts = [(int(found.start[i]), len(found.context[i])) for i in mine]
    spans = []
    for k, i in enumerate(mine):
        start, length = parts[k]
        offset = 2 + len(found.question[i])
        for first in range(start, start + length):
            context = [
                min(first - s, s + n - 1 - first) + 0.01 * n if s <= first < s + n else -1
                for s, n in parts
            ]
            if int(np.argmax(context)) != k:
                continue
            for last in range(first, min(first + longest, start + length)):
                score = starts[i, first - start + offset] + ends[i, last - start + offset]
                spans.append((score, first, last))
    null = min(starts[i, 0] + ends[i, 0] for i in mine)
    return sorted(spans, key=lambda span: -span[0]), null


def test_best_spans():
    generator = np.random.default_rng(3)
    context = tf.ragged.constant([list(range(n)) for n in (23, 2, 0, 9)], dtype=tf.int32)
    question = tf.ragged.constant([[1, 2], [1], [], [1, 2, 3]], dtype=tf.int32)
    found = windows(question, context, max_length=12, stride=4, max_question_length=3)
    starts, ends = generator.normal(size=(2, len(found.row), 12)).astype("float32")
    spans = best_spans(
        found, tf.constant(starts), tf.constant(ends), tf.constant(4, tf.int64), 6, 3
    )
    for row in range(4):
        expected, null = search(found, starts, ends, row, longest=3)
        assert spans.null_scores.numpy()[row] == pytest.approx(null, abs=1e-6)
        scores = spans.scores.numpy()[row]
        real = min(6, len(expected))
        assert (scores[real:] == np.float32(NONE)).all()
        np.testing.assert_allclose(scores[:real], [s[0] for s in expected[:6]], atol=1e-6)
        pairs = list(zip(spans.first.numpy()[row], spans.last.numpy()[row], strict=True))
        assert pairs[:real] == [s[1:] for s in expected[:6]]


def test_answers_are_where_they_say(model):
    found = {k: v.numpy() for k, v in model.answer(QUESTIONS, CONTEXTS, num_answers=7).items()}
    assert found["answers"].shape == (4, 7)
    for row, context in enumerate(CONTEXTS):
        cut = [context[a:b] for a, b in zip(found["starts"][row], found["ends"][row], strict=True)]
        assert [x.decode() for x in found["answers"][row]] == cut
        assert found["answer"][row] == found["answers"][row, 0]
        real = found["scores"][row] > NONE / 2
        assert real.sum() == (7, 3, 0, 7)[row]
        if real.any():
            assert found["probabilities"][row].sum() == pytest.approx(1.0, abs=1e-5)
        assert (np.diff(found["scores"][row]) <= 0).all()
    assert found["answer"][2] == b""


@pytest.mark.parametrize("length", range(5, 41))
def test_every_backbone_has_windows(length, make_bert):
    """What is left to the constructor fits whatever length the backbone has."""
    model = zoo.BertSpanQA(make_bert(num_layers=1, max_length=length))
    check_windows(model.window_length, model.stride, model.max_question_length)


def test_each_text_is_one_answer(model):
    """Of spans with the same text the best stays, as in run_squad; the rest moves up."""
    context = "the cat sat. the cat sat. the cat sat."
    found = {k: v.numpy() for k, v in model.answer(["who"], [context], num_answers=8).items()}
    answers = found["answers"][0].tolist()
    assert len(set(answers)) == 8 and b"" not in answers
    many = {k: v.numpy() for k, v in model.answer(["who"], [context], num_answers=40).items()}
    real = many["scores"][0] > NONE / 2
    texts = many["answers"][0][real].tolist()
    assert len(set(texts)) == len(texts) < 40 and texts[:8] == answers
    assert set(many["answers"][0][~real].tolist()) == {b""}
    # All that is at most four pieces long: four beginnings, four lengths.
    assert len(texts) == 16


def test_no_answer(make_bert, fill_weights):
    plain, null = (
        fill_weights(zoo.BertSpanQA(make_bert(), null_answers=flag, null_threshold=threshold))
        for flag, threshold in ((False, 0.0), (True, -1e6))
    )
    assert plain.answer(["who"], ["the cat"])["answer"].numpy()[0] != b""
    found = {k: v.numpy() for k, v in null.answer(["who"], ["the cat"]).items()}
    assert found["answer"].tolist() == [b""]
    rivals = np.exp([*found["scores"][0][:3], found["null_scores"][0]])
    expected = rivals[:3] / rivals.sum()
    np.testing.assert_allclose(found["probabilities"][0][:3], expected, atol=1e-5)
    assert found["answers"][0, 0] != b""


def test_bytes_that_are_no_text(model):
    found = model.answer(["who"], [b"the \xff\xfe cat \xc3"])
    assert found["answers"].numpy()[0, 0]


def test_saved_signature(model, tmp_path):
    signature = model.serving_signatures()["answer"]
    function = tf.function(signature["function"]).get_concrete_function(**signature["inputs"])
    root = tf.Module()
    root.variables_and_tables = [v.value for v in model.variables], model.preprocessor
    tf.saved_model.save(root, str(tmp_path / "model"), signatures=function)
    served = tf.saved_model.load(str(tmp_path / "model")).signatures["serving_default"]
    served = served(questions=tf.constant(QUESTIONS), contexts=tf.constant(CONTEXTS))
    for name, value in model.answer(QUESTIONS, CONTEXTS).items():
        if value.dtype == tf.float32:
            np.testing.assert_allclose(served[name], value, atol=1e-5)
        else:
            np.testing.assert_array_equal(served[name], value)


def test_errors(model, make_bert):
    with pytest.raises(ValueError, match="`stride` must be at least 1 and at most"):
        check_windows(max_length=20, stride=10, max_question_length=8)
    with pytest.raises(ValueError, match="`num_answers` must be at least 1"):
        model.answer(["who"], ["the cat"], num_answers=0)
    blind = zoo.BertSpanQA(make_bert(vocabulary=None, vocabulary_size=9))
    with pytest.raises(ValueError, match="`backbone` must have a vocabulary"):
        blind.answer(["who"], ["the cat"])


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"window_length": 0}, "`window_length` must be .* at least 5.* window_length=0, max_l"),
        ({"window_length": 41}, "`window_length` must be at most .* window_length=41, max_leng"),
        ({"stride": 0}, "`stride` must be at least 1 .* stride=0, window_length=40"),
        ({"stride": 32}, "`stride` must be .* `window_length` - .* stride=32, window_length=40"),
        ({"max_question_length": 0}, "`max_question_length` must be at least 1. .*length=0"),
        ({"max_question_length": 30}, "`stride` must be .* max_question_length=30"),
    ],
)
def test_windows_are_checked_when_the_model_is_made(arguments, message, make_bert):
    with pytest.raises(ValueError, match=message):
        zoo.BertSpanQA(make_bert(num_layers=1), **arguments)


def test_questions_and_contexts_are_one_of_each(model):
    none = model.answer([], [], num_answers=3)
    assert none["answers"].shape == (0, 3) and {x.shape[0] for x in none.values()} == {0}
    rule = "`questions` and `contexts` must be equally many, one of each. Received: "
    with pytest.raises(ValueError, match=f"{rule}2 questions, 1 contexts"):
        model.answer(["who", "who"], ["the cat"])
    for questions, contexts, name in (("who", "the cat", "questions"), (["who"], "the", "context")):
        with pytest.raises(ValueError, match=f"`{name}.* must be a batch"):
            model.answer(questions, contexts)
    free = tf.TensorSpec([None], tf.string)
    answer = tf.function(model.answer, input_signature=[free, free], autograph=False)
    with pytest.raises(tf.errors.InvalidArgumentError, match=f"{rule}questions, contexts.*2.*1"):
        answer(tf.constant(["who", "who"]), tf.constant(["the cat"]))
