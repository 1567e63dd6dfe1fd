"""Inference between sentences (SNLI) by BERT.

    polysemy run bert_snli train evaluate export --set data.root=DATA

Starts from all-MiniLM-L6-v2, a BERT of 6 layers x 384 (preset `minilm_l6_en`): fine-tuned, with
rates that fall from layer to layer, and feature-based, the last four layers side by side under a
linear classifier; from the same model without its training; and from our own pre-training, whose
run `bert_pretrain_wikitext2` must be there ("own"; "own_short" from its variant "short"). There
is no training part here: of the published dev part nine tenths (8,859 pairs, by premise) train,
one tenth is dev; test is the published one (9,824). The paper's models saw 550,152 pairs.
"""

from ..config import DataConfig, Experiment, TrainerConfig
from ..tasks.classification import Classification

experiment = Experiment(
    name="bert_snli",
    description="SNLI inference, trained on its dev part: fine-tuned, feature-based, own",
    task=Classification(corpus="snli", max_length=96),
    data=DataConfig(name="SNLI, dev part only"),
    trainer=TrainerConfig(
        epochs=3,
        optimizer="adamw",
        optimizer_options={"epsilon": 1e-6},
        learning_rate=1e-4,
        schedule="linear",
        warmup_steps=80,
        weight_decay=0.01,
        gradient_clip_norm=1.0,
    ),
    variants={
        "minilm": {},
        "minilm_layer_decay": {"trainer.layer_decay": 0.8},
        "minilm_features": {
            "task.encoder_training": "frozen",
            "task.features": (-4, -3, -2, -1),
            "trainer.learning_rate": 1e-3,
        },
        "untrained": {"task.pretrained": False},
        "own": {
            "task.encoder": "runs/bert_pretrain_wikitext2/default/seed1/preset",
            "task.features": (-1,),
        },
        "own_short": {
            "task.encoder": "runs/bert_pretrain_wikitext2/short/seed1/preset",
            "task.features": (-1,),
        },
    },
    paper="89.9 accuracy, recalled (GPT, 550,152 pairs of training); BERT's paper has none",
)
