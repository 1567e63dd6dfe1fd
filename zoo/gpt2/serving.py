"""What a served language model answers beside its logits."""

import tensorflow as tf

from ..generation.generator import row_seeds
from ..generation.sampling import DTYPES, Sampling

PROMPTS = tf.TensorSpec([None], tf.string, name="prompts")
MAX_BEAMS = 64  # each has a cache of its own: a client could fill the memory with one number


def signatures(model):
    """The signatures `generate` and `next_word` of a `GPT2CausalLM` with a vocabulary.

    `generate`: `prompts` (B,) string, the options of `Sampling` as scalars, `seed` () int32 and
    `stop` (S,) string -> `texts` (B,) string, what was added; `lengths` (B,) int32 tokens; `scores`
    (B,) float32. Row i draws by `seed` + i. The end of the document stops a text, and so do the
    tokens of the vocabulary in `stop`, such as "Ċ", a line's end. `num_beams` may be up to 64.

    `next_word`: `prompts` (B,) string, `top_k` () int32 -> `tokens` (B, K) string, the most
    probable next tokens, best first, and their `probabilities` (B, K) float32.

    A server fills in what a request leaves out: the defaults of `Sampling`, seed 0, no `stop`,
    `top_k` 5.
    """
    options = {name: tf.TensorSpec([], dtype, name=name) for name, dtype in DTYPES.items()}
    generate = {
        "prompts": PROMPTS,
        **options,
        "seed": tf.TensorSpec([], tf.int32, name="seed"),  # as clients send a plain number
        "stop": tf.TensorSpec([None], tf.string, name="stop"),
    }
    next_word = {"prompts": PROMPTS, "top_k": tf.TensorSpec([], tf.int32, name="top_k")}
    return {
        "generate": {"function": _generate(model, generate), "inputs": generate},
        "next_word": {"function": _next_word(model, next_word), "inputs": next_word},
    }


def _generate(model, inputs):
    preprocessor = model.preprocessor
    stop_tokens = [] if preprocessor.end_id is None else [preprocessor.end_id]
    default = Sampling().tensors()

    # SavedModels take default values from the arguments, in this order.
    @tf.function(input_signature=list(inputs.values()), autograph=False)
    def generate(
        prompts,
        max_length=default["max_length"],
        min_length=default["min_length"],
        temperature=default["temperature"],
        top_k=default["top_k"],
        top_p=default["top_p"],
        num_beams=default["num_beams"],
        length_penalty=default["length_penalty"],
        repetition_penalty=default["repetition_penalty"],
        no_repeat_ngram=default["no_repeat_ngram"],
        seed=tf.constant(0),  # noqa: B008, as the others
        stop=tf.constant([], tf.string),  # noqa: B008
    ):
        options = {
            "max_length": max_length,
            "min_length": min_length,
            "temperature": temperature,
            "top_k": top_k,
            "top_p": top_p,
            "num_beams": num_beams,
            "length_penalty": length_penalty,
            "repetition_penalty": repetition_penalty,
            "no_repeat_ngram": no_repeat_ngram,
        }
        stops = tf.constant(stop_tokens, tf.int32, shape=[len(stop_tokens)])
        stops = tf.concat([stops, _ids_of(preprocessor, stop)], axis=0)
        check = tf.debugging.Assert(
            num_beams <= MAX_BEAMS,
            [f"`num_beams` must be at most {MAX_BEAMS}. Received:", num_beams],
        )
        with tf.control_dependencies([check]):
            ids = preprocessor.prompts(prompts)
        found = model.generator.in_graph(
            ids.to_tensor(),
            tf.cast(ids.row_lengths(), tf.int32),
            options,
            stops,
            row_seeds(seed, tf.shape(prompts)[0]),
        )
        texts = preprocessor.decode(found["token_ids"], skip_specials=True)
        return {"texts": texts, "lengths": found["lengths"], "scores": found["scores"]}

    return generate


def _ids_of(preprocessor, tokens):
    """Tokens of the vocabulary as they are written there: (S,) string -> (S,) int32."""
    size = len(preprocessor.vocabulary)

    def look_up():
        known = preprocessor.byte_pair.tokens.lookup(tf.range(size, dtype=tf.int64))  # (V,)
        same = tf.equal(tokens[:, None], known)  # (S, V)
        check = tf.debugging.Assert(
            tf.reduce_all(tf.reduce_any(same, axis=1)),
            ["`stop` must be tokens of the vocabulary. Received:", tokens],
        )
        with tf.control_dependencies([check]):
            return tf.argmax(same, axis=1, output_type=tf.int32)

    # The vocabulary is large, and few requests name a stop.
    return tf.cond(tf.size(tokens) > 0, look_up, lambda: tf.zeros([0], tf.int32))


def _next_word(model, inputs):
    preprocessor, size = model.preprocessor, model.backbone.vocabulary_size

    @tf.function(input_signature=list(inputs.values()), autograph=False)
    def next_word(prompts, top_k=tf.constant(5)):  # noqa: B008, the signature's default
        ids = preprocessor.prompts(prompts)
        lengths = tf.cast(ids.row_lengths(), tf.int32)
        ids = ids.to_tensor()
        batch_size, width = tf.unstack(tf.shape(ids))
        check = tf.debugging.Assert(
            (batch_size >= 1) & (width <= model.max_length) & (top_k >= 1) & (top_k <= size),
            [
                f"There must be prompts, of at most {model.max_length} tokens, and `top_k` be from "
                f"1 to {size}. Received: their number, the longest, top_k",
                batch_size,
                width,
                top_k,
            ],
        )
        with tf.control_dependencies([check]):
            cache = model.init_cache(batch_size, tf.identity(width))
        start = tf.zeros([batch_size], tf.int32)
        logits, _ = model.generator.step(ids, cache, start, lengths=lengths)
        probabilities, best = tf.math.top_k(tf.nn.softmax(logits), top_k)
        one_each = tf.reshape(best, [-1, 1])
        tokens = tf.reshape(preprocessor.decode(one_each), tf.shape(best))
        return {"tokens": tokens, "probabilities": probabilities}

    return next_word
