import pytest

from polysemy.recipes.metrics import SpanF1, span_f1


@pytest.mark.parametrize(
    ("scheme", "gold", "guess"),
    [
        ("BIO", "B-A I-A O B-B B-A", "B-A I-A O B-A B-A"),
        ("BIOES", "B-A E-A O S-B S-A", "B-A E-A O S-A S-A"),
        ("BIOUL", "B-A L-A O U-B U-A", "B-A L-A O U-A U-A"),
        ("IOB1", "I-A I-A O I-B I-A", "I-A I-A O I-A B-A"),
    ],
)
def test_counts_alike_in_every_scheme(scheme, gold, guess):
    scores = span_f1([gold.split()], [guess.split()], scheme)
    # gold A(0:2) B(3:4) A(4:5); predicted A(0:2) A(3:4) A(4:5)
    assert scores["precision"] == scores["recall"] == pytest.approx(2 / 3)
    assert scores["f1"] == pytest.approx(2 / 3)
    assert scores["support"] == 3
    assert scores["types"]["A"] == pytest.approx(
        {"precision": 2 / 3, "recall": 1.0, "f1": 0.8, "support": 2}
    )
    assert scores["types"]["B"] == {"precision": 0.0, "recall": 0.0, "f1": 0.0, "support": 1}


def test_strict_a_tag_that_continues_nothing_is_no_span():
    assert span_f1([["B-A", "I-A"]], [["I-A", "I-A"]])["f1"] == 0
    assert span_f1([["I-A", "I-A"]], [["I-A", "I-A"]], "IO")["f1"] == 1


def test_streams_over_batches():
    metric = SpanF1("BIO")
    gold = [["B-a-b", "O"], ["O", "B-a-b", "I-a-b"]]
    guess = [["B-a-b", "O"], ["O", "B-a-b", "O"]]
    for one, other in zip(gold, guess, strict=True):
        metric.update([one], [other])
    assert metric.result() == span_f1(gold, guess)
    assert list(metric.result()["types"]) == ["a-b"]
    metric.reset()
    assert metric.result() == {"precision": 0, "recall": 0, "f1": 0, "support": 0, "types": {}}


def test_without_spans_the_score_is_zero():
    assert span_f1([["O"]], [["O"]])["f1"] == 0
    assert span_f1([[]], [[]])["support"] == 0


def test_unknown_tag_at_evaluation():
    metric = SpanF1("BIO", tags=["O", "B-LOC", "I-LOC"])
    with pytest.raises(
        ValueError,
        match="3 that the model knows.*'B-LOK' at token 1 of sentence 0.*B-LOC",
    ):
        metric.update([["O", "B-LOK"]], [["O", "O"]])
    with pytest.raises(ValueError, match="scheme BIO.*'E-LOC'.*of `predicted`"):
        span_f1([["O"]], [["E-LOC"]])
    assert metric.result()["support"] == 0


def test_lengths_must_agree():
    with pytest.raises(ValueError, match="as many sentences.*1 and 2"):
        span_f1([["O"]], [["O"], ["O"]])
    with pytest.raises(ValueError, match="2 and 1 for sentence 0"):
        span_f1([["O", "O"]], [["O"]])
