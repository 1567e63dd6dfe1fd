"""Our side of `gpt2_decoding.py`. Started by it, as a process."""

import keras
import tensorflow as tf
import worker

from polysemy.zoo import GPT2, GPT2CausalLM, Sampling


def save(size, directory):
    """A model with random weights, as a folder that both sides load."""
    keras.utils.set_random_seed(1)
    GPT2.from_size(size).save_as_huggingface(directory)


def decoder(directory, prompts, new_tokens):
    """Greedy continuations of prompts given as ids: "generate"."""
    generator = GPT2CausalLM.from_checkpoint(directory).generator
    sampling = Sampling(max_length=new_tokens)
    ids = tf.ragged.constant(prompts, tf.int32)

    def generate():
        return generator(ids, sampling)["token_ids"].numpy()

    decoder.last = generate()
    return {"generate": generate}


def answers():
    """What the decoder that was prepared last wrote."""
    return decoder.last.tolist()


if __name__ == "__main__":
    for setting in (
        tf.config.threading.set_intra_op_parallelism_threads,
        tf.config.threading.set_inter_op_parallelism_threads,
    ):
        setting(worker.THREADS)
    worker.serve(
        {"save": save, "decoder": decoder, "answers": answers},
        {"tensorflow": tf.__version__, "keras": keras.__version__},
    )
