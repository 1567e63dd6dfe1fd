from dataclasses import dataclass, fields

import numpy as np
import tensorflow as tf


@dataclass(frozen=True)
class Sampling:
    """How the next tokens are chosen. As it stands: the most probable one, 64 times.

    Penalties change the logits first, then come `temperature`, `top_k` and `top_p`, in this order.

    Args:
        max_length: int, at least 1. The most tokens to add to a prompt.
        min_length: int. No stop token before there are so many.
        temperature: float. 0 takes the most probable token, greedily; else logits are divided by
            it and one token is drawn.
        top_k: int. Draw from the k most probable tokens; 0: from all.
        top_p: float in (0, 1]. Draw from the fewest most probable tokens that have this much
            probability together. The token that crosses the border is still in, as in Holtzman et
            al. and `transformers`; OpenAI's program leaves it out.
        num_beams: int. From 2 on a beam search that keeps so many beginnings; greedy otherwise.
        length_penalty: float. Alpha of GNMT: a beam's log probability is divided by
            `((5 + length) / 6) ** alpha`, the stop token counted; 0 prefers short texts.
        repetition_penalty: float, at least 1. Logits of tokens that were there before, the prompt
            counted, are divided by it, or multiplied if they are negative (CTRL).
        no_repeat_ngram: int. No sequence of so many tokens comes twice, the prompt counted; 0: off.

    Example:
    >>> Sampling(max_length=20, temperature=0.8, top_k=40).top_p
    1.0

    Reference: [Holtzman et al., 2019](https://arxiv.org/abs/1904.09751) top-p;
    [Wu et al., 2016](https://arxiv.org/abs/1609.08144), equation 14, length penalty;
    [Keskar et al., 2019](https://arxiv.org/abs/1909.05858), section 4.1, repetition penalty.
    """

    max_length: int = 64
    min_length: int = 0
    temperature: float = 0.0
    top_k: int = 0
    top_p: float = 1.0
    num_beams: int = 1
    length_penalty: float = 0.0
    repetition_penalty: float = 1.0
    no_repeat_ngram: int = 0

    def __post_init__(self):
        for field in fields(self):
            value, whole = getattr(self, field.name), isinstance(field.default, int)
            kinds = (int, np.integer) if whole else (int, float, np.integer, np.floating)
            if isinstance(value, bool) or not isinstance(value, kinds):
                kind = "an integer" if whole else "a number"
                raise ValueError(f"`{field.name}` must be {kind}. Received: {field.name}={value!r}")
            if whole and value > np.iinfo("int32").max:
                raise ValueError(
                    f"`{field.name}` must be below 2 ** 31. Received: {field.name}={value}"
                )
        for test, rule in _RULES:
            if not test(self):
                raise ValueError(f"{rule}. Received: {self}")

    def tensors(self):
        """The options as scalar tensors: one traced graph serves all of them."""
        return {f.name: tf.constant(getattr(self, f.name), DTYPES[f.name]) for f in fields(self)}


#: dtype of each option as an input of a graph.
DTYPES = {f.name: tf.int32 if isinstance(f.default, int) else tf.float32 for f in fields(Sampling)}

_MOST = float(np.finfo("float32").max)

# Each a test of the options, of numbers or of tensors, and what it asks for.
_RULES = (
    (lambda s: s.max_length >= 1, "`max_length` must be at least 1"),
    (lambda s: s.min_length >= 0, "`min_length` must be at least 0"),
    (lambda s: s.min_length <= s.max_length, "`min_length` must be at most `max_length`"),
    (lambda s: s.temperature >= 0, "`temperature` must be at least 0"),
    (lambda s: s.temperature <= _MOST, "`temperature` must be finite"),
    (lambda s: s.top_k >= 0, "`top_k` must be at least 0"),
    (lambda s: s.top_p > 0, "`top_p` must be more than 0"),
    (lambda s: s.top_p <= 1, "`top_p` must be at most 1"),
    (lambda s: s.num_beams >= 1, "`num_beams` must be at least 1"),
    (lambda s: s.length_penalty >= 0, "`length_penalty` must be at least 0"),
    (lambda s: s.length_penalty <= _MOST, "`length_penalty` must be finite"),
    (lambda s: s.repetition_penalty >= 1, "`repetition_penalty` must be at least 1"),
    (lambda s: s.repetition_penalty <= _MOST, "`repetition_penalty` must be finite"),
    (lambda s: s.no_repeat_ngram >= 0, "`no_repeat_ngram` must be at least 0"),
    (
        lambda s: (s.temperature > 0) | ((s.top_k == 0) & (s.top_p == 1)),
        "`top_k` and `top_p` draw tokens and must go with a `temperature` above 0",
    ),
    (
        lambda s: (s.num_beams == 1) | (s.temperature == 0),
        "`num_beams` above 1 draws no tokens and must go with `temperature` 0",
    ),
    (
        lambda s: (s.num_beams > 1) | (s.length_penalty == 0),
        "`length_penalty` compares beams and must go with `num_beams` above 1",
    ),
)


class _Options:
    """Options as attributes, as the rules read them."""

    def __init__(self, tensors):
        self.__dict__.update(tensors)


def asserted(options):
    """The same tensors, behind checks of the rules that `Sampling` keeps, for use in a graph."""
    checks = [
        tf.debugging.Assert(test(_Options(options)), [f"{rule}."], name="sampling")
        for test, rule in _RULES
    ]
    with tf.control_dependencies(checks):
        return {name: tf.identity(value) for name, value in options.items()}
