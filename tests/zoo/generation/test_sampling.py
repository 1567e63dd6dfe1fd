import pytest

from polysemy.zoo import Sampling


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"max_length": 0}, "`max_length` must be at least 1"),
        ({"max_length": 2.5}, "`max_length` must be an integer. Received: max_length=2.5"),
        ({"max_length": True}, "`max_length` must be an integer"),
        ({"max_length": 3, "min_length": 4}, "`min_length` must be at most `max_length`"),
        ({"min_length": -1}, "`min_length` must be at least 0"),
        ({"temperature": -0.1}, "`temperature` must be at least 0"),
        ({"temperature": float("nan")}, "`temperature` must be at least 0"),
        ({"temperature": float("inf")}, "`temperature` must be finite"),
        ({"temperature": 1e39}, "`temperature` must be finite"),
        ({"temperature": "hot"}, "`temperature` must be a number"),
        ({"top_k": 3}, "`top_k` and `top_p` draw tokens and must go with a `temperature`"),
        ({"top_p": 0.9}, "`top_k` and `top_p` draw tokens and must go with a `temperature`"),
        ({"top_k": -1, "temperature": 1.0}, "`top_k` must be at least 0"),
        ({"top_p": 0.0, "temperature": 1.0}, "`top_p` must be more than 0"),
        ({"top_p": 1.1, "temperature": 1.0}, "`top_p` must be at most 1"),
        ({"num_beams": 0}, "`num_beams` must be at least 1"),
        ({"num_beams": 3, "temperature": 1.0}, "`num_beams` above 1 draws no tokens"),
        ({"length_penalty": 0.6}, "`length_penalty` compares beams"),
        ({"num_beams": 2, "length_penalty": -1.0}, "`length_penalty` must be at least 0"),
        ({"num_beams": 2, "length_penalty": float("inf")}, "`length_penalty` must be finite"),
        ({"repetition_penalty": float("inf")}, "`repetition_penalty` must be finite"),
        (
            {"top_k": 2**40, "temperature": 1.0},
            "`top_k` must be below 2 .. 31. .*top_k=1099511627776",
        ),
        ({"repetition_penalty": 0.5}, "`repetition_penalty` must be at least 1"),
        ({"no_repeat_ngram": -2}, "`no_repeat_ngram` must be at least 0"),
    ],
    ids=str,
)
def test_options_that_make_no_sense(options, message):
    with pytest.raises(ValueError, match=message):
        Sampling(**options)


def test_options_become_scalars_of_one_dtype_each():
    tensors = Sampling(max_length=5, temperature=1, top_k=2).tensors()
    assert {name: x.dtype.name for name, x in tensors.items()} == {
        "max_length": "int32",
        "min_length": "int32",
        "temperature": "float32",
        "top_k": "int32",
        "top_p": "float32",
        "num_beams": "int32",
        "length_penalty": "float32",
        "repetition_penalty": "float32",
        "no_repeat_ngram": "int32",
    }
    assert tensors["temperature"].numpy() == 1.0
