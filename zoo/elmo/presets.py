"""Weights of ELMo that the zoo knows by name."""

from ..preset import Preset, register

register(
    Preset(
        name="elmo_tiny_en",
        description="biLM of the tiny size with its softmax, English, cased, WikiText-2",
        parameters=4_738_643,
        license="CC BY-SA 3.0",
        source="trained here by the recipe elmo_lm_wikitext2 on WikiText-2",
        sha256="451fb6703ef0de6afc7400b98f1e26418839fe483cb93b639005c3c621737f8b",
        score="WikiText-2 test perplexity 121.5, average of both directions",
        path="elmo/elmo_tiny_en",
    ),
)
