"""Pictures of encoders with any number of layers."""

import pytest

from polysemy.recipes import plots


@pytest.mark.parametrize("numbers", [(3, 3), (3, 7), (5,)])
def test_layers_of_any_encoder(tmp_path, monkeypatch, numbers):
    seen, save = [], plots._save
    monkeypatch.setattr(
        plots, "_save", lambda figure, *more: seen.append(figure) or save(figure, *more)
    )
    weights = {f"task {i}": [[1 / k] * k] * 2 for i, k in enumerate(numbers)}
    plots.layer_weights(weights, tmp_path / "a.png")  # a layout that fails would warn
    (axes,) = seen[0].axes
    names = [text.get_text() for text in axes.get_legend().get_texts()]
    if max(numbers) == 3:
        assert names == ["characters (layer 0)", "LSTM layer 1", "LSTM layer 2"]
    else:
        layers = [f"layer {k}" for k in range(1, max(numbers))]
        assert names == ["embeddings (layer 0)", *layers]
    assert [len(bars) for bars in axes.containers[1::2]] == [
        sum(k < number for number in numbers) for k in range(max(numbers))
    ]
    bars = [bar for group in axes.containers[1::2] for bar in group]
    assert len({bar.get_facecolor() for bar in bars}) == max(numbers)
    own = ["word", *(str(k) for k in range(1, max(numbers)))]
    plots.layer_weights(weights, tmp_path / "b.png", names=own)
    (axes,) = seen[1].axes
    assert [text.get_text() for text in axes.get_legend().get_texts()] == own
    with pytest.raises(ValueError, match="`names` must be those of"):
        plots.layer_weights(weights, tmp_path / "c.png", names=[])
