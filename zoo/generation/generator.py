import functools

import keras
import tensorflow as tf

from ...layers.affine import products_in_parts
from .beam_search import beam_search
from .checks import (
    checked_prompts,
    checked_sampling,
    checked_seeds,
    checked_stops,
    checked_texts,
)
from .decoding import decode
from .sampling import DTYPES, asserted

_IDS = tf.TensorSpec([None, None], tf.int32, name="token_ids")
_LENGTHS = tf.TensorSpec([None], tf.int32, name="lengths")
_STOPS = tf.TensorSpec([None], tf.int32, name="stop_tokens")
_SEEDS = tf.TensorSpec([None], tf.int64, name="seeds")
_PLACES = 64  # what the size of a cache is a multiple of where XLA compiles
_OPTIONS = {name: tf.TensorSpec([], dtype, name=name) for name, dtype in DTYPES.items()}


class Generator:
    """A model's decoding, compiled once for prompts of all lengths and for all options.

    Prompts stand on the left; each row has an index of its own, and its keys and values overwrite
    the padding's, which nothing has read. So a row's tokens depend on its prompt and seed only, as
    far as products of differently many rows round alike.

    Shapes: B rows, P tokens of the longest prompt, T tokens of the longest answer.

    Args:
        model: has `init_cache` and `step`, see the package; it may have `max_length`, the most
            positions that a row may have, and `vocabulary_size`, which ids are checked against.
        input_specs: nest of `tf.TensorSpec` or None. Of the encoder's inputs, if it has one.

    Raises:
        ValueError: Keras's backend is not TensorFlow.

    Example:
    >>> from polysemy.zoo import GPT2, GPT2CausalLM, Sampling
    >>> generator = Generator(GPT2CausalLM(GPT2.from_size("tiny", vocabulary_size=300)))
    >>> answer = generator([[5, 6, 7], [8]], Sampling(max_length=4))
    >>> answer["token_ids"].shape, answer["lengths"].numpy().tolist()
    (TensorShape([2, 4]), [4, 4])
    """

    def __init__(self, model, input_specs=None):
        if keras.backend.backend() != "tensorflow":
            raise ValueError(
                "Generation must run on Keras's TensorFlow backend. Received: "
                f"KERAS_BACKEND={keras.backend.backend()!r}"
            )
        self.model = model
        self.max_length = getattr(model, "max_length", None)
        self.vocabulary_size = getattr(model, "vocabulary_size", None)
        signature = (_IDS, _LENGTHS, _OPTIONS, _STOPS, _SEEDS, input_specs)
        if input_specs is None:
            signature = signature[:-1]
        compiled = functools.partial(
            tf.function, input_signature=signature, autograph=False, jit_compile=False
        )
        # One function for all loops: traced for prompts once, and once for single tokens.
        self.step = tf.function(tf.autograph.experimental.do_not_convert(model.step))
        self._xla_step = tf.function(self._step_in_parts, autograph=False, jit_compile=True)
        self._decode = compiled(functools.partial(self._run, decode, self.step))
        self._search = compiled(functools.partial(self._run, beam_search, self.step))
        self._decode_by_xla = compiled(functools.partial(self._run, decode, self._xla_step))

    def __call__(
        self, prompts, sampling=None, seeds=0, stop_tokens=(), inputs=None, jit_compile=False
    ):
        """Continues prompts that are given as ids.

        Args:
            prompts: list of lists of int, or ragged int (B, (P)). None may be empty.
            sampling: `Sampling`. seeds, stop_tokens: see `generate`.
            inputs: nest of tensors. For the model's encoder.
            jit_compile: bool. Have XLA compile the step of a token, for one prompt in float32 on a
                CPU: at first use, and again for each 64 tokens that prompt and answer may take
                together, for seconds. With more rows, or in half precision, XLA is slower there.

        Returns:
            dict of token_ids (B, T) int32, what was added, -1 behind it; lengths (B,) int32; scores
            (B,) float32, see `decode` and `beam_search`.

        Raises:
            ValueError: a prompt is empty or too long; an id is not in the vocabulary; an argument
                is of another kind; `jit_compile` with what it is not for.
        """
        sampling = checked_sampling(sampling)
        prompts = checked_prompts(prompts, self.vocabulary_size)
        stop_tokens = checked_stops(stop_tokens, self.vocabulary_size)
        seeds = checked_seeds(seeds)
        lengths = tf.cast(prompts.row_lengths(), tf.int32)
        shortest, longest = (0, 0) if not len(lengths) else (min(lengths), max(lengths))
        if shortest < 1:
            raise ValueError(
                "`prompts` must hold a token at least in each row. Received: lengths "
                f"{lengths.numpy().tolist()}"
            )
        if self.max_length is not None and longest + sampling.max_length > self.max_length:
            raise ValueError(
                f"The longest prompt and `max_length` must fit the model's {self.max_length} "
                f"positions. Received: a prompt of {int(longest)} tokens, "
                f"max_length={sampling.max_length}"
            )
        arguments = (
            prompts.to_tensor(),
            lengths,
            sampling.tensors(),
            tf.constant(stop_tokens),
            row_seeds(seeds, len(lengths)),
        )
        function = self._search if sampling.num_beams > 1 else self._decode
        if jit_compile:
            if len(lengths) * sampling.num_beams != 1:
                raise ValueError(
                    "`jit_compile` must go with one prompt and one beam. Received: "
                    f"{len(lengths)} prompts, num_beams={sampling.num_beams}"
                )
            function = self._decode_by_xla
        return function(*arguments, *(() if inputs is None else (inputs,)))

    def in_graph(self, token_ids, lengths, options, stop_tokens, seeds, inputs=None):
        """As a call, of tensors within a graph: the options choose between both ways.

        Args:
            token_ids: (B, P) int32. lengths: (B,) int32. options: dict of scalar tensors.
            stop_tokens: (S,) int32. seeds: (B,) int64. inputs: nest of tensors.

        Raises:
            tf.errors.InvalidArgumentError: at run time, where a call raises ValueError.
        """
        options = asserted(options)
        arguments = (token_ids, lengths, options, stop_tokens, seeds)
        arguments += () if inputs is None else (inputs,)
        return tf.cond(
            options["num_beams"] > 1,
            lambda: self._search(*arguments),
            lambda: self._decode(*arguments),
        )

    def _step_in_parts(self, *arguments):
        with products_in_parts():
            return self.model.step(*arguments)

    def _run(self, method, step, token_ids, lengths, options, stop_tokens, seeds, inputs=None):
        batch_size, prompt = tf.unstack(tf.shape(token_ids))
        checks = [
            tf.debugging.Assert(
                tf.reduce_all(lengths >= 1) & (batch_size >= 1),
                ["There must be a prompt, and each must have a token. Received: lengths", lengths],
            )
        ]
        if self.max_length is not None:
            checks.append(
                tf.debugging.Assert(
                    # No sum, which could be more than 32 bits hold.
                    options["max_length"] <= self.max_length - prompt,
                    [
                        "The longest prompt and `max_length` must fit the positions of the model, "
                        f"{self.max_length}. Received: a prompt of",
                        prompt,
                        "tokens and max_length",
                        options["max_length"],
                    ],
                )
            )
        with tf.control_dependencies(checks):
            # Nothing is as long as `max_length` says before it is known to fit.
            options = {**options, "max_length": tf.identity(options["max_length"])}
            width, seeds = prompt + options["max_length"], tf.identity(seeds)
        encoder = {} if inputs is None else {"inputs": inputs}
        if step is self._xla_step:  # compiled for each size of the cache
            width = -(-width // _PLACES) * _PLACES
        cache = self.model.init_cache(batch_size, width, **encoder)
        if step is self._xla_step:
            _check_single(cache)
        start = tf.zeros([batch_size], tf.int32)
        logits, cache = self.step(token_ids, cache, start, lengths=lengths)
        tokens = tf.pad(token_ids, [[0, 0], [0, options["max_length"]]])
        arguments = (logits, cache, tokens, lengths, options, stop_tokens)
        draws = (seeds,) if method is decode else ()
        tokens, ends, scores = method(step, *arguments, *draws)
        added = ends - lengths
        longest = tf.reduce_max(added)
        place = lengths[:, None] + tf.range(longest)
        place = tf.minimum(place, tf.maximum(ends - 1, 0)[:, None])
        added_tokens = tf.gather(tokens, place, axis=1, batch_dims=1)
        present = tf.sequence_mask(added, longest)
        return {
            "token_ids": tf.where(present, added_tokens, -1),
            "lengths": added,
            "scores": scores,
        }


def _check_single(cache):
    dtypes = {x.dtype.name for x in tf.nest.flatten(cache) if x.dtype.is_floating}
    if dtypes - {"float32"}:
        raise ValueError(
            f"`jit_compile` must go with a model in float32. Received: {sorted(dtypes)}"
        )


def row_seeds(seeds, batch_size):
    """A seed for each row: of one number s the rows have s, s + 1, s + 2 ..."""
    seeds = tf.cast(tf.convert_to_tensor(seeds), tf.int64)
    if seeds.shape.rank == 0:
        return seeds + tf.range(tf.cast(batch_size, tf.int64))
    if tuple(seeds.shape) != (batch_size,):
        raise ValueError(
            "`seeds` must be one number, or one for each prompt. Received: seeds of shape "
            f"{tuple(seeds.shape)}, {batch_size} prompts"
        )
    return seeds


def generate(
    model, prompts, sampling=None, seeds=0, stop_tokens=None, stop=None, jit_compile=False
):
    """Continues texts.

    Args:
        model: a language model of the zoo, with `generator` and a `preprocessor` that decodes.
        prompts: list of str. An empty one begins a new document.
        sampling: `Sampling`; by default its defaults.
        seeds: int, or one for each prompt. Equal seed and prompt give equal text, in any batch.
        stop_tokens: list of int. Ids at which a text ends; by default the model's `end_id`.
        stop: list of str. The same as tokens of the vocabulary, such as "Ċ", a line's end.
        jit_compile: bool. See `Generator.__call__`: seconds once, then faster.

    Returns:
        list of str, what was added to each prompt, without the stop token.

    Raises:
        ValueError: a prompt is too long, an option is impossible, a stop token unknown.

    Example:
    >>> from polysemy.zoo import GPT2, GPT2CausalLM, Sampling
    >>> from polysemy.zoo.text.byte_pair_files import vocabulary_of_merges
    >>> vocabulary = vocabulary_of_merges([])
    >>> model = GPT2CausalLM(GPT2.from_size("tiny", vocabulary=vocabulary, merges=[]))
    >>> texts = generate(model, ["The cat", ""], Sampling(max_length=5, temperature=0.9))
    >>> len(texts)
    2
    """
    prompts = checked_texts("prompts", prompts)
    if not prompts:
        return []
    preprocessor = model.preprocessor
    if preprocessor is None:
        raise ValueError(
            "`model` must have a vocabulary to read and write text. Received: one without; "
            "give ids to `model.generator`"
        )
    if stop_tokens is None:
        stop_tokens = [] if preprocessor.end_id is None else [preprocessor.end_id]
    stop_tokens = checked_stops(stop_tokens, len(preprocessor.vocabulary)).tolist()
    stop = checked_texts("stop", () if stop is None else stop)
    unknown = [token for token in stop if token not in preprocessor.vocabulary]
    if unknown:
        raise ValueError(f"`stop` must be tokens of the vocabulary. Received: {unknown}")
    stop_tokens += [preprocessor.vocabulary.index(token) for token in stop]
    prompts = preprocessor.prompts(tf.constant(prompts, tf.string))
    answer = model.generator(prompts, sampling, seeds, stop_tokens, jit_compile=jit_compile)
    texts = preprocessor.decode(answer["token_ids"], skip_specials=True)
    return [text.decode("utf-8") for text in texts.numpy()]
