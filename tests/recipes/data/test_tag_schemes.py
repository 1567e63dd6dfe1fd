import itertools

import pytest

from polysemy.recipes.data import tag_schemes
from polysemy.recipes.data.tag_schemes import Span, convert, spans_to_tags, tags_to_spans

SPANS = [Span(0, 1, "PER"), Span(1, 3, "PER"), Span(4, 7, "LOC"), Span(7, 8, "a-b")]
WRITTEN = {
    "IO": "I-PER I-PER I-PER O I-LOC I-LOC I-LOC I-a-b",
    "IOB1": "I-PER B-PER I-PER O I-LOC I-LOC I-LOC I-a-b",
    "BIO": "B-PER B-PER I-PER O B-LOC I-LOC I-LOC B-a-b",
    "BIOES": "S-PER B-PER E-PER O B-LOC I-LOC E-LOC S-a-b",
    "BIOUL": "U-PER B-PER L-PER O B-LOC I-LOC L-LOC U-a-b",
}


@pytest.mark.parametrize("scheme", WRITTEN)
def test_writes_each_scheme_as_published(scheme):
    assert spans_to_tags(SPANS, 8, scheme) == WRITTEN[scheme].split()


@pytest.mark.parametrize("scheme", [s for s in WRITTEN if s != "IO"])
def test_reads_back_what_it_writes(scheme):
    assert tags_to_spans(WRITTEN[scheme].split(), scheme) == SPANS


def test_io_joins_adjacent_spans_of_one_type():
    assert tags_to_spans(WRITTEN["IO"].split(), "IO") == [Span(0, 3, "PER"), *SPANS[2:]]


@pytest.mark.parametrize(
    ("source", "target"), list(itertools.product([s for s in WRITTEN if s != "IO"], WRITTEN))
)
def test_converts_between_all_schemes(source, target):
    assert convert(WRITTEN[source].split(), source, target) == WRITTEN[target].split()


@pytest.mark.parametrize("scheme", ["IOB1", "BIO", "BIOES", "BIOUL"])
def test_every_labeling_is_written_to_a_valid_sequence_and_only_those_are_valid(scheme):
    """Enumerates all tag sequences of length 3: the valid ones are those that spans can write."""
    tags = tag_schemes.tag_vocabulary(["X", "Y"], scheme)
    valid = set()
    for sequence in itertools.product(tags, repeat=3):
        try:
            spans = tags_to_spans(sequence, scheme)
        except ValueError:
            continue
        valid.add(sequence)
        assert tuple(spans_to_tags(spans, 3, scheme)) == sequence
        assert spans == tags_to_spans(sequence, scheme, strict=False)
    # Labelings of 3 tokens by spans of two types: f(n) = f(n-1) + 2 * sum of f(0..n-1) = 1, 3, 11…
    assert len(valid) == 41


@pytest.mark.parametrize(
    ("tags", "scheme", "message"),
    [
        (["O", "I-PER"], "BIO", r"I- only after.*'I-PER' at position 1 after 'O'"),
        (["B-LOC", "I-PER"], "BIO", "same type"),
        (["B-PER"], "BIOES", "closed by E-.*the end of the sentence"),
        (["B-PER", "O"], "BIOUL", "closed by L-.*'O' at position 1"),
        (["B-PER", "I-PER"], "IOB1", "directly after a span.*start of the sentence"),
        (["X-PER"], "BIO", "O or one of B, I.*'X-PER'"),
        (["B"], "BIO", "'B'"),
        (["E-PER"], "BIO", "'E-PER'.*position 0"),
    ],
)
def test_invalid_tags_are_refused_by_position(tags, scheme, message):
    with pytest.raises(ValueError, match=message):
        tag_schemes.validate(tags, scheme)


def test_lenient_reading_is_conllevals():
    tags = "I-A I-A I-B O I-B E-B E-B S-C B-C".split()
    assert tags_to_spans(tags, "BIOES", strict=False) == [
        (0, 2, "A"),
        (2, 3, "B"),
        (4, 6, "B"),
        (6, 7, "B"),
        (7, 8, "C"),
        (8, 9, "C"),
    ]


@pytest.mark.parametrize("spans", [[(0, 2, "A"), (1, 3, "A")], [(2, 2, "A")], [(3, 9, "A")]])
def test_bad_spans_are_refused(spans):
    with pytest.raises(ValueError, match="`spans` must lie inside the 4 tokens"):
        spans_to_tags(spans, 4, "BIO")


def test_unknown_scheme_and_other_names():
    with pytest.raises(ValueError, match="`scheme` must be one of IO, IOB1.*scheme='BILO'"):
        convert(["O"], "BILO", "BIO")
    assert convert(["B-A"], "IOB2", "BILOU") == ["U-A"]


def test_empty_sentence():
    assert tags_to_spans([], "BIOES") == []
    assert spans_to_tags([], 0, "BIO") == []
