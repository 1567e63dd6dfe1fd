"""SQuAD's form, its windows, and the way from logits back to answers."""

import gzip
import itertools
import json
import os

import numpy as np
import pytest

from polysemy.recipes.data import squad
from polysemy.recipes.data.windows import (
    Window,
    answer_pieces,
    best_answers,
    has_most_context,
    target_positions,
    windows,
)

CONTEXT = "Ada met Bo in Rome."


def squad_file(path, *entries, paragraphs=1, articles=1):
    paragraph = {"context": CONTEXT, "qas": list(entries)}
    data = [{"title": "t", "paragraphs": [paragraph] * paragraphs}] * articles
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(json.dumps({"data": data}).encode()))
    return path


def entry(start=8, text="Bo", **more):
    answers = [{"answer_start": start, "text": text}]
    return {"id": "q1", "question": " Whom? ", "answers": answers, **more}


def test_questions(tmp_path):
    path = squad_file(
        tmp_path / "squad.json.gz", entry(), entry(is_impossible=True), paragraphs=2, articles=2
    )
    found = list(squad.read_squad(path))
    assert found[0] == {
        "id": "q1",
        "question": "Whom?",
        "context": CONTEXT,
        "answers": ["Bo"],
        "starts": [8],
        "article": 0,
        "paragraph": 0,
    }
    assert found[1]["answers"] == found[1]["starts"] == []
    assert [(q["article"], q["paragraph"]) for q in found[::2]] == [(0, 0), (0, 1), (1, 2), (1, 3)]


def test_damaged_questions(tmp_path):
    text = {"answers": [{"answer_start": "8", "text": "Bo"}]}
    for entries, message in (
        ([entry(9)], "stand at its answer_start.*paragraph 0, question 'q1': 'Bo' at 9"),
        ([{**entry(), **text}], "`answer_start` is a whole number.*'q1', answer_start='8'"),
        ([entry(text=" ")], "answer must hold text.*question 'q1', text=' '"),
        ([{**entry(), "answers": []}], "must have an answer or be marked.*question 'q1'"),
        ([{**entry(), "answers": None}], "`answers` is a list.*question 'q1', answers=None"),
        ([entry(), {**entry(), "question": None}], "`question` is a text.*'q1', question=None"),
        ([entry(), {"question": "Whom?"}], "`id` is a text.*paragraph 0, question 1, id=None"),
        ([7], "`id` is a text.*question 0, id=None"),
    ):
        path = squad_file(tmp_path / "squad.json.gz", *entries)
        with pytest.raises(ValueError, match=message) as caught:
            list(squad.read_squad(path))
        assert str(path) in str(caught.value)


def test_damaged_files(tmp_path):
    whole = squad_file(tmp_path / "whole", entry()).read_bytes()
    plain = gzip.decompress(whole)
    broken = bytearray(whole)
    broken[20:40] = bytes(20)
    (tmp_path / "marked").write_bytes(b"\xef\xbb\xbf" + plain)
    assert list(squad.read_squad(tmp_path / "marked")) == list(squad.read_squad(tmp_path / "whole"))
    for content, message in (
        (b'{"version": "1.1"}', "`data` is a list. Received: .*file, data=None"),
        (b'{"data": {"a": 1}}', "`data` is a list. Received: .*file, data={'a': 1}"),
        (b'{"data": [{}]}', "`paragraphs` is a list. Received: .*file, article 0"),
        (plain[:-3], "must be a JSON file.*file"),
        (plain.replace(b"Ada", b"\xc9va"), "must be a JSON file.*file .'utf-8' codec"),
        (whole[:-9], "must be a whole gzip file.*file"),
        (bytes(broken), "must be a whole gzip file.*file"),
        (whole[:2] + b"\x09" + whole[3:], "must be a whole gzip file.*file"),
    ):
        (tmp_path / "file").write_bytes(content)
        with pytest.raises(ValueError, match=message):
            list(squad.read_squad(tmp_path / "file"))


def test_splits(tmp_path):
    squad_file(tmp_path / squad.CORPORA["squad11"].files["train"], entry(), paragraphs=11)
    squad_file(tmp_path / squad.CORPORA["squad11"].files["test"], entry(), articles=9)
    shares = {
        split: [q["paragraph"] for q in squad.questions("squad11", tmp_path, split)]
        for split in ("train", "dev", "test")
    }
    assert shares == {"train": list(range(1, 10)), "dev": [0, 10], "test": list(range(9))}
    articles = {
        split: [q["article"] for q in squad.questions("squad11_articles", tmp_path, split)]
        for split in ("train", "dev", "test")
    }
    assert articles == {"train": list(range(2, 8)), "dev": [1], "test": [0, 8]}
    impossible = entry(is_impossible=True, plausible_answers=[{"text": "Ann", "answer_start": 0}])
    squad_file(tmp_path / "qa/squad2.0/train-v2.0.json", entry(), impossible, paragraphs=11)
    squad_file(tmp_path / "qa/squad2.0/dev-v2.0.json", impossible)
    found = {
        split: [(q["paragraph"], q["answers"]) for q in squad.questions("squad20", tmp_path, split)]
        for split in ("train", "dev", "test")
    }
    assert found["dev"] == [(0, ["Bo"]), (0, []), (10, ["Bo"]), (10, [])]
    assert len(found["train"]) == 18 and found["test"] == [(0, [])]
    with pytest.raises(
        ValueError, match="`task.corpus` must be one of.*'squad'.*Nearest: .*squad11"
    ):
        squad.questions("squad", tmp_path, "dev")
    with pytest.raises(ValueError, match="`split` must be one of.*'valid'"):
        squad.questions("squad11", tmp_path, "valid")
    squad_file(tmp_path / "qa/squad2.0/dev-v2.0.json")
    with pytest.raises(ValueError, match="one question of the test split of squad20.*dev-v2.0"):
        list(squad.questions("squad20", tmp_path, "test"))


def test_windows_cover_the_context():
    for question, context, length, stride in itertools.product((3, 90), (1, 50, 400), (80,), (16,)):
        found = windows(question, context, length, stride, max_question_length=20)
        assert found[0].start == 0 and found[-1].end == context
        for one, other in itertools.pairwise(found):
            assert other.start - one.start == stride and other.start <= one.end
        assert all(w.length <= length and w.question == min(question, 20) for w in found)
    with pytest.raises(ValueError, match="`stride` must.*stride=5, max_length=10, question=3"):
        windows(3, 9, max_length=10, stride=5)


def test_answers_that_a_window_cuts():
    starts, ends = np.array([0, 4, 8, 11, 14, 18]), np.array([3, 7, 10, 13, 18, 19])
    assert answer_pieces(starts, ends, 8, 10) == (2, 2)
    assert answer_pieces(starts, ends, 9, 15) == (2, 4)  # in the middle of a piece
    with pytest.raises(ValueError, match="characters 3 to 4"):
        answer_pieces(starts, ends, 3, 4)
    window = Window(question=1, start=2, end=4)
    assert target_positions(window, (2, 3)) == (3, 4)
    assert target_positions(window, (3, 4)) == target_positions(window, (1, 2)) == (0, 0)
    assert target_positions(window, None) == (0, 0)


def test_each_piece_has_most_context_once():
    found = windows(4, 60, max_length=27, stride=7)
    count = np.zeros(60, int)
    for index, window in enumerate(found):
        count[window.start : window.end] += has_most_context(found, index)
    assert (count == 1).all()


def test_best_answers_against_all_pairs():
    """Every pair of a start and an end, in one window: the simplest reading of the rule."""
    rng = np.random.default_rng(1)
    window = Window(question=2, start=0, end=12)
    starts, ends = rng.normal(size=(2, window.length))
    pairs = [
        (starts[i + 4] + ends[j + 4], i, j) for i in range(12) for j in range(i, min(i + 3, 12))
    ]
    expected = sorted(pairs, reverse=True)[:5]
    found, null = best_answers([window], [starts], [ends], n_best=12, max_answer_length=3)
    assert [(a.start, a.end) for a in found[:5]] == [(i, j) for _, i, j in expected]
    np.testing.assert_allclose([a.score for a in found[:5]], [e[0] for e in expected])
    assert null == pytest.approx(starts[0] + ends[0]) and len(found) == 12


def test_windows_compete():
    pair = [Window(1, 0, 4), Window(1, 2, 6)]
    starts = [np.array([0, 0, 0, 1, 1, 1, 9, 0]), np.array([-1, 0, 0, 1, 8, 1, 1, 0])]
    ends = [np.array([0, 0, 0, 1, 1, 1, 2, 0]), np.array([-1, 0, 0, 1, 2, 1, 1, 0])]
    found, null = best_answers(pair, starts, ends)
    # Piece 3 is read in the second window, where more stands behind it: 8, not 9.
    assert (found[0].start, found[0].end, found[0].score) == (3, 3, 10.0)
    assert null == -2.0


@pytest.mark.skipif("POLYSEMY_DATA" not in os.environ, reason="POLYSEMY_DATA names the corpora")
@pytest.mark.parametrize(
    ("split", "questions", "answers"),
    [("train", 3846, 3846), ("dev", 438, 438), ("test", 10570, 34726)],
)
def test_counts_of_the_real_corpus(split, questions, answers):
    found = list(squad.questions("squad11", os.environ["POLYSEMY_DATA"], split))
    assert (len(found), sum(len(q["answers"]) for q in found)) == (questions, answers)
