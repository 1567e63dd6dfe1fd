import itertools

import pytest

from polysemy.layers.crf_constraints import crf_constraints
from polysemy.recipes.data import tag_schemes


@pytest.mark.parametrize("scheme", tag_schemes.SCHEMES)
def test_allow_exactly_the_valid_sequences(scheme):
    tags = tag_schemes.tag_vocabulary(["X", "Y"], scheme)
    allowed = crf_constraints(tags, scheme)
    start, end = len(tags), len(tags) + 1
    assert allowed is not None
    for length in (1, 2, 3):
        for path in itertools.product(range(len(tags)), repeat=length):
            expected = True
            try:
                tag_schemes.validate([tags[i] for i in path], scheme)
            except ValueError:
                expected = False
            steps = itertools.pairwise([start, *path, end])
            assert all(allowed[a, b] for a, b in steps) is expected


@pytest.mark.parametrize(
    ("other", "scheme"), [("bio", "BIO"), ("Iob2", "BIO"), ("IOB", "IOB1"), ("bilou", "BIOUL")]
)
def test_other_names(other, scheme):
    tags = tag_schemes.tag_vocabulary(["X", "Y"], scheme)
    allowed, expected = crf_constraints(tags, other), crf_constraints(tags, scheme)
    assert allowed is not None and expected is not None and (allowed == expected).all()
    assert tag_schemes.canonical_scheme(other) == scheme


def test_none():
    assert crf_constraints(["NOUN", "VERB"], None) is None


@pytest.mark.parametrize(
    ("tags", "scheme", "message"),
    [
        (["O"], "BILO", "`scheme` must be None or one of.*'BILO'"),
        (["O", "E-X"], "BIO", "O or one of B, I followed by -type. Received: 'E-X'"),
        (["O", "X"], "BIO", "Received: 'X'"),
        (["O", "O"], "BIO", "different from each other"),
    ],
)
def test_errors(tags, scheme, message):
    with pytest.raises(ValueError, match=message):
        crf_constraints(tags, scheme)
