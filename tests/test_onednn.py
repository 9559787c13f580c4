"""Linear layers by oneDNN beside the same products in float64."""

import pytest
import torch
from conftest import tiny_model
from torch import nn

from helpers.models import onednn
from helpers.models.onednn import by_onednn


@pytest.mark.parametrize("largest", [2**32, 0])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("shape", [(1,), (16,), (2, 37), (0,)])
def test_products_are_those_of_float64(
    shape: tuple[int, ...], bias: bool, largest: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With weights copied into a layout of its own, and as they lie."""
    monkeypatch.setattr(onednn, "LARGEST", largest)
    model = nn.Sequential(nn.Linear(96, 200, bias), nn.Linear(200, 33, bias))
    x = torch.randn(*shape, 96)
    expected = model.double()(x.double())
    model.float()
    with by_onednn(model), torch.inference_mode():
        assert all("forward" in layer.__dict__ for layer in model)
        found = model(x)
    torch.testing.assert_close(found.double(), expected, rtol=1e-4, atol=1e-5)
    assert not any("forward" in layer.__dict__ for layer in model)


def test_what_it_leaves_alone() -> None:
    """Other formats and other kinds of layers; hooks still run, and later changes still count."""

    class Own(nn.Linear):
        pass

    for layer in (Own(4, 4), nn.Linear(4, 4).bfloat16()):
        with by_onednn(layer):
            assert "forward" not in layer.__dict__
    layer = nn.Linear(4, 4)

    def stops(*_: object) -> None:
        raise RuntimeError("a hook ran")

    hook = layer.register_forward_hook(stops)
    with pytest.raises(RuntimeError, match="a hook ran"), by_onednn(layer):
        layer(torch.ones(1, 4))
    hook.remove()
    with torch.no_grad():
        layer.weight.zero_()
    assert torch.equal(layer(torch.ones(1, 4))[0], layer.bias)


def test_a_model_says_the_same(architecture: str) -> None:
    model, ids = tiny_model(architecture), torch.arange(12)[None] + 3
    with torch.inference_mode():
        expected = model(ids).logits
        with by_onednn(model):
            found = model(ids).logits
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
