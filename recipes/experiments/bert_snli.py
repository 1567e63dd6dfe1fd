"""Inference between sentences (SNLI) by BERT.

    polysemy run bert_snli train evaluate export --set data.root=DATA

Starts from all-MiniLM-L6-v2, a BERT of 6 layers x 384 (preset `minilm_l6_en`): fine-tuned, with
rates that fall from layer to layer, and feature-based, the last four layers side by side under a
linear classifier; from the same model without its training; and from our own pre-training ("own";
"own_short" and the like from its other variants), which is skipped where `bert_pretrain_wikitext2`
has not been exported to the same `--out`. There is no training part here: of the published dev part
nine tenths (8,859 pairs, by premise) train, one tenth is dev; test is the published one (9,824).
The paper's models saw 550,152 pairs.
"""

from ..config import DataConfig, Experiment
from ..tasks.classification import Classification
from ._bert import CLASSIFICATION_VARIANTS, adamw

experiment = Experiment(
    name="bert_snli",
    description="SNLI inference, trained on its dev part: fine-tuned, feature-based, own",
    task=Classification(corpus="snli", max_length=96),
    data=DataConfig(name="SNLI, dev part only"),
    trainer=adamw(epochs=3, learning_rate=1e-4, warmup_steps=80),
    variants=CLASSIFICATION_VARIANTS,
    paper="89.9 accuracy, recalled (GPT, 550,152 pairs of training); BERT's paper has none",
)
