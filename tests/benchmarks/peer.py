# pyright: reportMissingImports=false
# torch is in the benchmark's environment only.
"""The peer's side: what `run.py` measures of PyTorch. Started by it, as a process."""

import numpy as np
import torch
import worker
from peer_elmo import PeerElmo


def lstm(dtype, sizes, arrays):
    """`torch.nn.LSTM` with `proj_size`, on the weights and input that our side left.

    Actions: "forward", and "training" with all gradients.
    """
    x, layer = _lstm(dtype, sizes, np.load(arrays))

    def forward():
        with torch.no_grad():
            return layer(x)[0]

    def training():
        layer.zero_grad()
        x.grad = None
        layer(x)[0].sum().backward()

    forward()
    training()
    return {"forward": forward, "training": training}


def compare_lstm(sizes, arrays):
    """Largest absolute difference from our outputs, and relative one from our gradients."""
    saved = np.load(arrays)
    x, layer = _lstm("float32", sizes, saved)
    outputs = layer(x)[0]
    outputs.sum().backward()
    pairs = {
        "d_x": x.grad,
        "d_kernel": layer.weight_ih_l0.grad.T,
        "d_recurrent_kernel": layer.weight_hh_l0.grad.T,
        "d_bias": layer.bias_ih_l0.grad,
        "d_projection_kernel": layer.weight_hr_l0.grad.T,
    }
    gradients = max(
        np.abs(saved[name] - theirs.numpy()).max() / np.abs(saved[name]).max()
        for name, theirs in pairs.items()
    )
    difference = np.abs(saved["outputs"] - outputs.detach().numpy()).max()
    return {"outputs": float(difference), "gradients": float(gradients)}


def _lstm(dtype, sizes, saved):
    units, dim = sizes["units"], sizes["projection"]
    layer = torch.nn.LSTM(sizes["inputs"], units, proj_size=dim, batch_first=True)
    bias = torch.from_numpy(saved["bias"]).clone()
    bias.chunk(4)[1].add_(1.0)  # our layer adds the forget bias at run time
    with torch.no_grad():
        layer.weight_ih_l0.copy_(torch.from_numpy(saved["kernel"]).T)
        layer.weight_hh_l0.copy_(torch.from_numpy(saved["recurrent_kernel"]).T)
        layer.weight_hr_l0.copy_(torch.from_numpy(saved["projection_kernel"]).T)
        layer.bias_ih_l0.copy_(bias)
        layer.bias_hh_l0.zero_()
    kind = getattr(torch, dtype)
    return torch.from_numpy(saved["x"]).to(kind).requires_grad_(), layer.to(kind)


def elmo(dtype, config, sentences, arrays):
    """`PeerElmo` on our weights, from strings to all layers: "inference"."""
    model = PeerElmo(**config).load(np.load(arrays)).to(getattr(torch, dtype))

    def inference():
        with torch.no_grad():
            return model([sentence.split() for sentence in sentences])

    inference()
    return {"inference": inference}


def compare_elmo(config, sentences, arrays):
    """Largest absolute difference from our outputs, and the largest of our outputs."""
    saved = np.load(arrays)
    with torch.no_grad():
        theirs = PeerElmo(**config).load(saved)([sentence.split() for sentence in sentences])
    ours = saved["layer_outputs"]
    if ours.shape != tuple(theirs.shape):
        raise ValueError(f"shapes must be equal. Received: {ours.shape}, {tuple(theirs.shape)}")
    return {
        "outputs": float(np.abs(ours - theirs.numpy()).max()),
        "largest": float(abs(ours).max()),
    }


if __name__ == "__main__":
    torch.set_num_threads(worker.THREADS)
    worker.serve(
        {"lstm": lstm, "elmo": elmo, "compare_lstm": compare_lstm, "compare_elmo": compare_elmo},
        {"torch": torch.__version__},
    )
