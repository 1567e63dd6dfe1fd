# pyright: reportMissingImports=false
# torch is in the benchmark's environment only.
"""ELMo's forward pass as PyTorch programs have had it: every word by itself, every step by itself.

Written from [Peters et al., 2018](https://arxiv.org/abs/1802.05365), the char-CNN of
[Kim et al., 2016](https://arxiv.org/abs/1508.06615) and the projected LSTM of
[Sak et al., 2014](https://arxiv.org/abs/1402.1128). The order of work is that of AllenNLP 2.10's
`_ElmoBiLm`, which this peer stands for: characters are looked up in Python, each word of the batch
runs through the CNN, equal words too, both directions run one after the other, and each step
projects its own input.
"""

import torch
from torch import nn

BEGIN_SENTENCE, END_SENTENCE, BEGIN_WORD, END_WORD, PAD = 257, 258, 259, 260, 261
EMBEDDING_DIM, NUM_LAYERS, CLIP = 16, 2, 3.0  # of every published size


def character_ids(sentences, max_characters=50):
    """Lists of words -> (B, L + 2, C) int64 with boundaries. All rows must be of one length."""

    def row(characters):
        ids = [BEGIN_WORD, *characters[: max_characters - 2], END_WORD]
        return ids + [PAD] * (max_characters - len(ids))

    def word(text):
        return row([byte + 1 for byte in text.encode("utf-8")])

    begin, end = row([BEGIN_SENTENCE]), row([END_SENTENCE])
    return torch.tensor([[begin, *map(word, words), end] for words in sentences])


class TokenEncoder(nn.Module):
    """(B, L, C) character ids -> (B, L, P)."""

    def __init__(self, filters, num_highway_layers, projection_dim):
        super().__init__()
        features = sum(number for _, number in filters)
        self.embedding = nn.Embedding(PAD + 1, EMBEDDING_DIM, padding_idx=0)
        self.convolutions = nn.ModuleList(
            nn.Conv1d(EMBEDDING_DIM, number, width) for width, number in filters
        )
        # Transformed and gate side by side: one product for both.
        self.highways = nn.ModuleList(
            nn.Linear(features, 2 * features) for _ in range(num_highway_layers)
        )
        self.projection = nn.Linear(features, projection_dim)

    def forward(self, ids):
        x = self.embedding(ids.flatten(0, 1)).transpose(1, 2)  # (B * L, E, C)
        x = torch.cat([torch.relu(conv(x).amax(dim=-1)) for conv in self.convolutions], dim=-1)
        for highway in self.highways:
            transformed, gate = highway(x).chunk(2, dim=-1)
            gate = torch.sigmoid(gate)
            x = gate * torch.relu(transformed) + (1 - gate) * x
        return self.projection(x).unflatten(0, ids.shape[:2])


class ProjectedCell(nn.Module):
    """One direction of one layer: (B, L, P) -> (B, L, P), a step at a time."""

    def __init__(self, dim, hidden_dim, clip, backward):
        super().__init__()
        self.input = nn.Linear(dim, 4 * hidden_dim, bias=False)
        self.recurrent = nn.Linear(dim, 4 * hidden_dim)  # blocks i, f, c, o
        self.projection = nn.Linear(hidden_dim, dim, bias=False)
        self.clip, self.backward = clip, backward

    def forward(self, x):
        h = x.new_zeros(x.shape[0], self.projection.out_features)
        c = x.new_zeros(x.shape[0], self.projection.in_features)
        outputs = x.new_zeros(x.shape[0], x.shape[1], h.shape[1])
        steps = range(x.shape[1])
        for t in reversed(steps) if self.backward else steps:
            gates = self.input(x[:, t]) + self.recurrent(h)
            i, f, g, o = gates.chunk(4, dim=-1)
            c = torch.sigmoid(i) * torch.tanh(g) + torch.sigmoid(f) * c
            c = torch.clamp(c, -self.clip, self.clip)
            h = self.projection(torch.sigmoid(o) * torch.tanh(c))
            h = torch.clamp(h, -self.clip, self.clip)
            outputs[:, t] = h
        return outputs


class PeerElmo(nn.Module):
    """Words in, all layers out: list of lists of str -> (B, K, L, 2P), boundaries removed."""

    def __init__(self, filters, num_highway_layers, projection_dim, hidden_dim):
        super().__init__()
        self.token_encoder = TokenEncoder(filters, num_highway_layers, projection_dim)
        self.stacks = nn.ModuleList(
            nn.ModuleList(
                ProjectedCell(projection_dim, hidden_dim, CLIP, backward) for _ in range(NUM_LAYERS)
            )
            for backward in (False, True)
        )

    def forward(self, sentences):
        words = self.token_encoder(character_ids(sentences))  # (B, L + 2, P)
        layers, below = [torch.cat([words, words], dim=-1)], [words, words]
        for i in range(len(self.stacks[0])):
            above = [stack[i](x) for stack, x in zip(self.stacks, below, strict=True)]
            if i > 0:
                above = [y + x for y, x in zip(above, below, strict=True)]
            layers.append(torch.cat(above, dim=-1))
            below = above
        return torch.stack(layers, dim=1)[:, :, 1:-1]

    @torch.no_grad()
    def load(self, weights):
        """Takes the arrays of our `Elmo` by their paths; `weights` maps path to array."""

        def take(path):
            return torch.from_numpy(weights[path])

        def copy(parameter, tensor):
            assert parameter.shape == tensor.shape, (parameter.shape, tensor.shape)
            parameter.copy_(tensor)

        encoder, part = self.token_encoder, "token_encoder"
        copy(encoder.embedding.weight[1:], take(f"{part}/character_cnn/embeddings"))
        for i, convolution in enumerate(encoder.convolutions):
            kernel = take(f"{part}/character_cnn/kernel_{i}")  # (width, E, number)
            copy(convolution.weight, kernel.permute(2, 1, 0))
            copy(convolution.bias, take(f"{part}/character_cnn/bias_{i}"))
        for i, highway in enumerate(encoder.highways):
            both = [f"{part}/highway/{name}_{{}}_{i}" for name in ("transform", "gate")]
            copy(highway.weight, torch.cat([take(name.format("kernel")) for name in both], 1).T)
            copy(highway.bias, torch.cat([take(name.format("bias")) for name in both]))
        copy(encoder.projection.weight, take(f"{part}/projection/kernel").T)
        copy(encoder.projection.bias, take(f"{part}/projection/bias"))
        for direction, stack in zip(("forward", "backward"), self.stacks, strict=True):
            for i, cell in enumerate(stack):
                part = f"bidirectional_lm/{direction}_{i}"
                copy(cell.input.weight, take(f"{part}/kernel").T)
                copy(cell.recurrent.weight, take(f"{part}/recurrent_kernel").T)
                copy(cell.projection.weight, take(f"{part}/projection_kernel").T)
                bias = take(f"{part}/bias").clone()
                bias.chunk(4)[1].add_(1.0)  # our layer adds the forget bias at run time
                copy(cell.recurrent.bias, bias)
        return self
