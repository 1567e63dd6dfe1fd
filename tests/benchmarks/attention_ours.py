"""Our side of the attention family: BERT and GPT-2. Started by `attention.py`, as a process."""

import keras
import numpy as np
import tensorflow as tf
import worker

from polysemy.zoo import GPT2, Bert, BertTextClassifier, GPT2CausalLM
from polysemy.zoo.generation import Sampling

NAMES = ("token_ids", "segment_ids", "padding_mask")


def batch(rows, length, size):
    """Full rows of ids: the inputs of every side, made by the same numbers."""
    ids = np.random.default_rng(0).integers(1, size, (rows, length))
    return {"token_ids": ids, "segment_ids": 0 * ids, "padding_mask": ids > 0}


def backbone(cls, dtype, config, checkpoint):
    keras.utils.set_random_seed(1)
    if checkpoint is None:
        return cls(**config, dtype=dtype)
    return cls.from_checkpoint(checkpoint, dtype=dtype)


def encode(dtype, config, rows, length, folder=None, checkpoint=None):
    """`Bert` in a `tf.function`: "encode".

    Args:
        dtype: str. The Keras policy.
        config: dict. Of the constructor.
        folder: path or None. Weights and outputs are left there, for the peer to agree with.
        checkpoint: path or None. A folder to load weights from, as the peer does; random without.
    """
    model = backbone(Bert, dtype, config, checkpoint and f"{checkpoint}/bert")
    inputs = {name: tf.constant(x) for name, x in batch(rows, length, 1000).items()}
    inputs = {name: tf.cast(x, model.input[name].dtype) for name, x in inputs.items()}

    @tf.function(autograph=False)
    def run(inputs):
        return model(inputs, training=False)["sequence_output"]

    outputs = run(inputs)
    if folder:
        model.save_as_huggingface(f"{folder}/bert")
        np.savez(f"{folder}/bert.npz", outputs=outputs, **inputs)
    return {"encode": lambda: run(inputs)}


def train(dtype, config, rows, length, folder=None, checkpoint=None):
    """A step of `BertTextClassifier` with AdamW and dropout, as `fit` does it: "step"."""
    encoder = backbone(Bert, dtype, config, checkpoint and f"{checkpoint}/classifier")
    model = BertTextClassifier(encoder, num_classes=2, dtype=dtype)
    model.compile(keras.optimizers.AdamW(1e-5, weight_decay=0.01), jit_compile=False)
    inputs = batch(rows, length, 1000)
    labels = np.arange(rows) % 2
    if folder:
        model.backbone.save_as_huggingface(f"{folder}/classifier")
    data = tf.data.Dataset.from_tensors((inputs, labels)).repeat()
    iterator = iter(data)
    model.optimizer.build(model.trainable_variables)
    function = model.make_train_function() or model.train_function

    def step():
        return float(function(iterator)["loss"])

    step()
    return {"step": step}


def decode(dtype, config, rows, prompt, new, jit_compile=False, folder=None, checkpoint=None):
    """`GPT2CausalLM` continuing prompts greedily with its cache: "decode"."""
    decoder = backbone(GPT2, dtype, config, checkpoint and f"{checkpoint}/gpt2")
    model = GPT2CausalLM(decoder, dtype=dtype)
    prompts = batch(rows, prompt, 1000)["token_ids"].tolist()
    sampling = Sampling(temperature=0.0, max_length=new)

    def run():
        answer = model.generator(prompts, sampling, jit_compile=jit_compile)
        return answer["token_ids"].numpy()

    tokens = [run() for _ in range(2)][-1]
    if folder:
        model.backbone.save_as_huggingface(f"{folder}/gpt2")
        np.savez(f"{folder}/gpt2.npz", prompts=prompts, tokens=tokens)
    return {"decode": run}


if __name__ == "__main__":
    tf.config.threading.set_intra_op_parallelism_threads(worker.THREADS)
    tf.config.threading.set_inter_op_parallelism_threads(worker.THREADS)
    worker.serve(
        {"encode": encode, "train": train, "decode": decode},
        {"tensorflow": tf.__version__, "keras": keras.__version__},
    )
