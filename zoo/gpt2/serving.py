"""What a served language model answers beside its logits."""

import tensorflow as tf

from ..generation.generator import row_seeds
from ..generation.sampling import DTYPES

PROMPTS = tf.TensorSpec([None], tf.string, name="prompts")


def signatures(model):
    """The signatures `generate` and `next_word` of a `GPT2CausalLM` with a vocabulary.

    `generate`: `prompts` (B,) string, the options of `Sampling` as scalars and `seed` () int64 ->
    `texts` (B,) string, what was added; `lengths` (B,) int32 tokens; `scores` (B,) float32. Row i
    draws by `seed` + i. The end of the document stops a text.

    `next_word`: `prompts` (B,) string, `top_k` () int32 -> `tokens` (B, K) string, the most
    probable next tokens, best first, and their `probabilities` (B, K) float32.
    """
    preprocessor = model.preprocessor
    stop_tokens = [] if preprocessor.end_id is None else [preprocessor.end_id]

    def generate(prompts, seed, **options):
        ids = preprocessor.prompts(prompts)
        found = model.generator.in_graph(
            ids.to_tensor(),
            tf.cast(ids.row_lengths(), tf.int32),
            options,
            tf.constant(stop_tokens, tf.int32, shape=[len(stop_tokens)]),
            row_seeds(seed, tf.shape(prompts)[0]),
        )
        texts = preprocessor.decode(found["token_ids"], skip_specials=True)
        return {"texts": texts, "lengths": found["lengths"], "scores": found["scores"]}

    def next_word(prompts, top_k):
        ids = preprocessor.prompts(prompts)
        lengths = tf.cast(ids.row_lengths(), tf.int32)
        ids = ids.to_tensor()
        batch_size, width = tf.unstack(tf.shape(ids))
        check = tf.debugging.Assert(
            (width <= model.max_length) & (top_k >= 1) & (top_k <= model.backbone.vocabulary_size),
            [
                f"Prompts must have at most {model.max_length} tokens and `top_k` be from 1 to "
                f"{model.backbone.vocabulary_size}. Received: prompt and top_k",
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

    options = {name: tf.TensorSpec([], dtype, name=name) for name, dtype in DTYPES.items()}
    return {
        "generate": {
            "function": generate,
            "inputs": {"prompts": PROMPTS, "seed": tf.TensorSpec([], tf.int64), **options},
        },
        "next_word": {
            "function": tf.autograph.experimental.do_not_convert(next_word),
            "inputs": {"prompts": PROMPTS, "top_k": tf.TensorSpec([], tf.int32)},
        },
    }
