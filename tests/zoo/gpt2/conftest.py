"""GPTs small enough for tests, with weights that anybody can draw again from a seed."""

import importlib
import json
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from safetensors.numpy import save_file

from polysemy.zoo import GPT2, GPT2CausalLM
from polysemy.zoo.text.byte_pair_files import vocabulary_of_merges

MERGES = ["h e", "Ġ t", "Ġt he", "l l", "o n", "Ġ a", "i n", "in g", "a t", "Ġ c"]
VOCABULARY = vocabulary_of_merges(MERGES)  # 267 tokens
CONFIG = {
    "model_type": "gpt2",
    "vocab_size": len(VOCABULARY),
    "n_positions": 96,
    "n_embd": 24,
    "n_layer": 2,
    "n_head": 4,
    "n_inner": 60,
    "activation_function": "gelu_new",
    "layer_norm_epsilon": 1e-5,
    "tie_word_embeddings": True,
    "bos_token_id": 0,
    "eos_token_id": 266,
}
GPT1_CONFIG = {
    **{k: v for k, v in CONFIG.items() if k not in ("n_inner", "activation_function")},
    "model_type": "openai-gpt",
    "afn": "gelu",
}


def tensors(config):
    """Random weights under Hugging Face's names: normal numbers, drawn in the order of names."""
    width, inner = config["n_embd"], config.get("n_inner", 4 * config["n_embd"])
    gpt1 = config["model_type"] == "openai-gpt"
    shapes: dict[str, tuple[int, ...]] = {
        "tokens_embed.weight" if gpt1 else "wte.weight": (config["vocab_size"], width),
        "positions_embed.weight" if gpt1 else "wpe.weight": (config["n_positions"], width),
    }
    for i in range(config["n_layer"]):
        for module, inputs, outputs in (
            ("attn.c_attn", width, 3 * width),
            ("attn.c_proj", width, width),
            ("mlp.c_fc", width, inner),
            ("mlp.c_proj", inner, width),
        ):
            shapes[f"h.{i}.{module}.weight"] = (inputs, outputs)
            shapes[f"h.{i}.{module}.bias"] = (outputs,)
        for norm in ("ln_1", "ln_2"):
            shapes[f"h.{i}.{norm}.weight"] = shapes[f"h.{i}.{norm}.bias"] = (width,)
    if not gpt1:
        shapes["ln_f.weight"] = shapes["ln_f.bias"] = (width,)
    draw = np.random.default_rng(7)
    return {name: draw.normal(scale=0.3, size=shapes[name]).astype("f4") for name in sorted(shapes)}


def write(folder, config, arrays, prefix=""):
    """A folder in Hugging Face's layout."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config))
    save_file({prefix + k: v for k, v in arrays.items()}, folder / "model.safetensors")
    return folder


@pytest.fixture(scope="session")
def published(tmp_path_factory):
    """Folders in Hugging Face's layout, by model type."""
    return {
        config["model_type"]: write(
            tmp_path_factory.mktemp(config["model_type"]) / "model", config, tensors(config)
        )
        for config in (CONFIG, GPT1_CONFIG)
    }


@pytest.fixture(scope="session")
def files():
    """What the folders are made of: `files.CONFIG`, `files.tensors(config)`, `files.write(…)`."""
    import types

    return types.SimpleNamespace(
        CONFIG=CONFIG,
        GPT1_CONFIG=GPT1_CONFIG,
        VOCABULARY=VOCABULARY,
        MERGES=MERGES,
        tensors=tensors,
        write=write,
    )


@pytest.fixture(scope="session")
def model(published):
    """A language model with a vocabulary; one for the session, its graphs are traced once."""
    keras.utils.set_random_seed(1)
    return GPT2CausalLM.from_checkpoint(published["gpt2"], vocabulary=VOCABULARY, merges=MERGES)


@pytest.fixture
def make_gpt2():
    """Makes a small `GPT2`: `make_gpt2(**arguments)`."""
    small = {
        "vocabulary_size": 50,
        "num_layers": 2,
        "num_heads": 2,
        "hidden_dim": 12,
        "max_length": 16,
    }
    return lambda **arguments: GPT2(**{**small, **arguments})


@pytest.fixture(scope="session")
def golden():
    """Numbers that `transformers` computed of the published folders, see `record` below."""
    return json.loads(Path(__file__).with_name("golden.json").read_text())


def record(folders):
    """What `transformers` makes of the folders: run by `python conftest.py`, writes golden.json."""
    torch: Any = importlib.import_module("torch")
    transformers: Any = importlib.import_module("transformers")

    found = {}
    for kind, folder in folders.items():
        theirs: Any = transformers.AutoModelForCausalLM.from_pretrained(folder).eval()
        ids = np.random.default_rng(5).integers(0, len(VOCABULARY), (2, 12))
        with torch.no_grad():
            logits = theirs(torch.from_numpy(ids)).logits.numpy()
            greedy = theirs.generate(
                torch.from_numpy(ids),
                attention_mask=torch.ones(2, 12, dtype=torch.long),
                max_new_tokens=50,
                min_new_tokens=50,
                do_sample=False,
                pad_token_id=0,
            ).numpy()[:, 12:]
        found[kind] = {
            "token_ids": ids.tolist(),
            "logits": np.round(logits[:, ::5, ::24].astype("f8"), 6).tolist(),
            "greedy": greedy.tolist(),
        }
    return found


if __name__ == "__main__":
    import sys
    import tempfile

    with tempfile.TemporaryDirectory() as temporary:
        made = {
            config["model_type"]: write(
                Path(temporary) / config["model_type"], config, tensors(config)
            )
            for config in (CONFIG, GPT1_CONFIG)
        }
        Path(__file__).with_name("golden.json").write_text(json.dumps(record(made)) + "\n")
    sys.exit()
