"""Named entities of WikiGold by BERT, fine-tuned and as features.

    polysemy run bert_ner_wikigold train evaluate export --set data.root=DATA

Starts from all-MiniLM-L6-v2 (preset `minilm_l6_en`). Fine-tuned as in the paper: the first piece
of each word, a linear layer, no CRF. As features: the model stands still, its layers are mixed by
learned weights and read by a biLSTM with a CRF beside word vectors and characters, as ELMo is in
`elmo_ner_wikigold`; or no encoder at all. MiniLM is uncased, the paper's model is cased and reads
whole documents: the paper's figure, of another corpus, tells the scale, no more. 1,323 / 153 /
220 sentences of training, dev and test, by document (see `elmo_ner_wikigold`).
"""

from ..config import DataConfig, Experiment
from ..tasks.tagging import Tagging
from ._bert import TAGGING_VARIANTS, adamw

experiment = Experiment(
    name="bert_ner_wikigold",
    description="WikiGold entities: BERT fine-tuned, with a CRF, as features, own pre-training",
    task=Tagging(
        corpus="wikigold",
        encoder="minilm_l6_en",
        model="bert",
        head="softmax",
        scheme="BIO",
        dropout=0.1,
    ),
    data=DataConfig(name="WikiGold"),
    trainer=adamw(epochs=8, learning_rate=2e-4, warmup_steps=20),
    variants=TAGGING_VARIANTS,
    paper="92.4 F1; as features 96.1, fine-tuned 96.4, recalled, dev (CoNLL-2003, Base)",
)
