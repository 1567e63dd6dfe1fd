# pyright: reportMissingImports=false
# torch and transformers are in the benchmark's environment only.
"""PyTorch's side of the attention family. Started by `attention.py`, as a process."""

from typing import Any

import numpy as np
import torch
import transformers
import worker
from transformers import AutoModelForCausalLM, BertForSequenceClassification, BertModel


def encode(dtype, folder):
    """`BertModel` on our weights and inputs: "encode"."""
    model = BertModel.from_pretrained(f"{folder}/bert", dtype=getattr(torch, dtype)).eval()
    inputs = _inputs(np.load(f"{folder}/bert.npz"))

    def run():
        with torch.inference_mode():
            return model(**inputs).last_hidden_state

    run()
    return {"encode": run}


def compare_encode(folder):
    """Largest absolute difference from our outputs."""
    theirs = encode("float32", folder)["encode"]().numpy()
    return {"outputs": float(np.abs(np.load(f"{folder}/bert.npz")["outputs"] - theirs).max())}


def train(dtype, rows, length, folder):
    """A step of `BertForSequenceClassification` with AdamW and dropout: "step"."""
    torch.manual_seed(1)
    model = BertForSequenceClassification.from_pretrained(
        f"{folder}/classifier", dtype=getattr(torch, dtype), num_labels=2
    ).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-5, weight_decay=0.01)
    ids = np.random.default_rng(0).integers(1, 1000, (rows, length))
    inputs = _inputs({"token_ids": ids, "segment_ids": 0 * ids, "padding_mask": ids > 0})
    labels = torch.arange(rows) % 2

    def step():
        optimizer.zero_grad()
        loss = model(**inputs, labels=labels).loss
        loss.backward()
        optimizer.step()
        return float(loss.detach())

    step()
    return {"step": step}


def decode(dtype, new, folder):
    """`transformers` generate, greedily, with its cache: "decode"."""
    name, kind = f"{folder}/gpt2", getattr(torch, dtype)
    model: Any = AutoModelForCausalLM.from_pretrained(name, dtype=kind).eval()
    prompts = torch.from_numpy(np.load(f"{folder}/gpt2.npz")["prompts"])

    def run():
        return model.generate(
            prompts,
            attention_mask=torch.ones_like(prompts),
            do_sample=False,
            min_new_tokens=new,
            max_new_tokens=new,
            pad_token_id=0,
            eos_token_id=None,
        )[:, prompts.shape[1] :]

    run()
    return {"decode": run}


def compare_decode(new, folder):
    """How many of the tokens that both chose differ."""
    theirs = decode("float32", new, folder)["decode"]().numpy()
    return {"tokens": int((np.load(f"{folder}/gpt2.npz")["tokens"] != theirs).sum())}


def _inputs(arrays):
    names = {"token_ids": "input_ids", "segment_ids": "token_type_ids"}
    names["padding_mask"] = "attention_mask"
    return {
        theirs: torch.from_numpy(arrays[ours].astype("int64")) for ours, theirs in names.items()
    }


if __name__ == "__main__":
    torch.set_num_threads(worker.THREADS)
    transformers.utils.logging.disable_progress_bar()
    transformers.utils.logging.set_verbosity_error()
    worker.serve(
        {
            "encode": encode,
            "compare_encode": compare_encode,
            "train": train,
            "decode": decode,
            "compare_decode": compare_decode,
        },
        {"torch": torch.__version__, "transformers": transformers.__version__},
    )
