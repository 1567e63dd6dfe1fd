"""The models. Each is loaded at first use: a model's graph needs no TensorFlow, its text needs it.

Example:
>>> from polysemy import zoo
>>> zoo.Elmo.from_size("tiny").count_params() > 1_000_000
True
"""

import importlib

_HOMES = {  # public name: the module that it is in
    "Backbone": "backbone",
    "TaskModel": "task",
    "Bert": "bert.backbone",
    "BertFeatures": "bert.features",
    "BertMaskedLM": "bert.masked_lm",
    "BertPretrainer": "bert.pretrainer",
    "BertTextClassifier": "bert.text_classifier",
    "BertTagger": "bert.tagger",
    "BertSpanQA": "bert.span_qa",
    "Preprocessor": "preprocessor",
    "Preset": "preset",
    "list_presets": "preset",
    "load_model": "loading",
    "Elmo": "elmo.backbone",
    "CachedElmo": "elmo.token_cache",
    "ElmoLM": "elmo.lm",
    "Tagger": "tagger.model",
    "GPT2": "gpt2.backbone",
    "GPT2CausalLM": "gpt2.lm",
    "Sampling": "generation.sampling",
    "generate": "generation.generator",
}


def __getattr__(name: str):
    if name not in _HOMES:
        raise AttributeError(
            f"module {__name__!r} has no attribute {name!r}. Its names: {', '.join(sorted(_HOMES))}"
        )
    return getattr(importlib.import_module(f".{_HOMES[name]}", __name__), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
