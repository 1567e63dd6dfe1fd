import numpy as np
import pytest

from polysemy.layers.sentence_boundaries import SentenceBoundaries

BEGIN, END = [8, 88], [9, 99]
LENGTHS = [2, 0, 3]  # some, an empty sentence, a full row
MASK = np.arange(3) < np.array(LENGTHS)[:, None]
IDS = np.arange(1, 19).reshape(3, 3, 2).astype("int32") * MASK[:, :, None]


def test_layer(check_layer):
    check_layer(
        SentenceBoundaries,
        {"begin": BEGIN, "end": END},
        {"inputs": IDS.astype("int32"), "padding_mask": MASK},
        [(3, 5, 2), (3, 5)],
        num_weights=0,
    )


@pytest.mark.parametrize("dtype", ["bool", "int32", "float32"])
def test_rows_are_put_round_the_tokens(dtype):
    # What stands at padding does not matter.
    ids = np.where(MASK[:, :, None], IDS, 7)
    found, mask = SentenceBoundaries(BEGIN, END)(ids, MASK.astype(dtype))
    for row, length in enumerate(LENGTHS):
        padding = [[0, 0]] * (3 - length)
        expected = [BEGIN, *IDS[row, :length].tolist(), END, *padding]
        assert np.array(found)[row].tolist() == expected
        assert np.array(mask)[row].tolist() == [True] * (length + 2) + [False] * (3 - length)


@pytest.mark.parametrize("shape", [(0, 3), (2, 0)])
def test_nothing_to_surround(shape):
    found, mask = SentenceBoundaries(BEGIN, END)(np.zeros((*shape, 2), "int32"), np.ones(shape))
    assert found.shape == (shape[0], shape[1] + 2, 2)
    assert np.array(mask).all()
    assert np.array(found).tolist() == [[BEGIN, END]] * shape[0] or shape[0] == 0


def test_rows_must_be_of_one_length():
    with pytest.raises(ValueError, match=r"of one length. Received: len\(begin\)=2, len\(end\)=1"):
        SentenceBoundaries([1, 2], [3])
