"""The contest: what a file of corrections does to a model, what is refused, and the table."""

from itertools import count

import pandas as pd
import pytest
import torch
from conftest import byte_tokenizer, tiny_model
from safetensors.torch import save_file

from course import contest, leaderboard
from helpers import load
from helpers.errors import InputError
from helpers.models import Decoder
from helpers.models.known import EMBEDDED
from helpers.models.load import LoadedModel
from helpers.pruning.drop import dropped
from helpers.texts.calibration import calibration_text

WIDTH, INNER, QUERY = 16, 24, "layers.3.self_attn.q_proj"


@pytest.fixture
def model():
    shape = {"hidden_size": WIDTH, "intermediate_size": INNER, "num_hidden_layers": 18}
    network = tiny_model("llama", **shape)
    return LoadedModel("tiny", network, byte_tokenizer(), Decoder.of(network), "")


@pytest.fixture
def ids():
    return torch.randint(3, 90, (4, 32), generator=torch.Generator().manual_seed(0))


@pytest.fixture
def handed_in(tmp_path, model):
    """Corrections as they are read from a file that holds some tensors."""
    numbers = count()

    def read(tensors, team="a team"):
        path = tmp_path / f"{next(numbers)}.safetensors"
        contest.save(path, team, tensors)
        return contest.read(path, model)

    return read


def said(model, ids, given=None):
    with contest.restored(model, given), torch.inference_mode():
        return model.model(ids).logits


def test_nothing_restored_is_the_model_with_both_dropped(model, ids):
    with dropped(model.decoder, [(layer, "mlp") for layer in contest.DROPPED]):
        wanted = model.model(ids).logits
    torch.testing.assert_close(said(model, ids), wanted)


def test_all_neurons_give_the_dense_model_back(model, ids, handed_in):
    dense = model.model(ids).logits
    parts = {
        f"{layer}.{name}": getattr(model.decoder.layers[layer].mlp, name).weight
        for layer in contest.DROPPED
        for name in contest.NEURONS
    }
    given = handed_in(parts)
    assert given.parameters == 2 * 3 * WIDTH * INNER
    torch.testing.assert_close(said(model, ids, given), dense)
    torch.testing.assert_close(model.model(ids).logits, dense, rtol=0, atol=0)  # and is back
    assert not torch.allclose(said(model, ids), dense, atol=1e-2)


def test_a_correction_of_a_weight_is_that_weight_plus_a_product(model, ids, handed_in):
    down, up, bias = torch.randn(2, WIDTH), torch.randn(WIDTH, 2), torch.randn(WIDTH)
    given = handed_in({f"{QUERY}.down": down, f"{QUERY}.up": up, f"{QUERY}.bias": bias})
    found = said(model, ids, given)
    linear = model.decoder.layers[3].self_attn.q_proj
    stock = linear.weight.data.clone()
    linear.weight.data = stock + up @ down
    linear.bias = torch.nn.Parameter(bias)
    wanted = said(model, ids)
    linear.weight.data, linear.bias = stock, None
    torch.testing.assert_close(found, wanted)
    assert not torch.allclose(found, said(model, ids))


def test_the_baseline_of_full_rank_is_least_squares(model, ids):
    """Against torch's solver, on what the MLPs read and say in the dense model."""
    found = contest.linear_baseline(model, ids, WIDTH, ridge=0)
    mlp, seen = model.decoder.layers[17].mlp, []
    hook = mlp.register_forward_hook(lambda _, args, out: seen.append((args[0], out)))
    model.model(ids)
    hook.remove()
    x, y = (each.flatten(0, 1).double() for each in seen[0])
    ones = torch.ones(len(x), 1, dtype=torch.float64)
    wanted = torch.linalg.lstsq(torch.cat([x, ones], 1), y).solution
    product = (found["17.up"] @ found["17.down"]).T.double()
    torch.testing.assert_close(product, wanted[:-1], rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(found["17.bias"].double(), wanted[-1], rtol=1e-3, atol=1e-4)


LONG = contest.BUDGET // WIDTH + 1
BAD = {
    "no team": ({"16.bias": torch.zeros(WIDTH)}, "../../x", "names no team"),
    "a script": ({"16.bias": torch.zeros(WIDTH)}, "<script>", "names no team"),
    "another layer": ({"15.bias": torch.zeros(WIDTH)}, "t", "15 is no place"),
    "a dropped weight": (
        {"layers.16.mlp.up_proj.bias": torch.zeros(INNER)},
        "t",
        "layers.16.mlp.up_proj is no place",
    ),
    "no such weight": ({"layers.99.mlp.up_proj.bias": torch.zeros(1)}, "t", "is no place"),
    "half a map": ({"16.down": torch.zeros(2, WIDTH)}, "t", "16 needs down, up together"),
    "a shape": ({"16.bias": torch.zeros(3)}, "t", r"16.bias is \(3,\), not \(16,\)"),
    "unequal ranks": (
        {"16.down": torch.zeros(2, WIDTH), "16.up": torch.zeros(WIDTH, 3)},
        "t",
        r"16.up is \(16, 3\), not \(16, 2\)",
    ),
    "not numbers": ({"16.bias": torch.full((WIDTH,), torch.nan)}, "t", "NaN or infinite"),
    "float64": ({"16.bias": torch.zeros(WIDTH, dtype=torch.float64)}, "t", "float64: numbers are"),
    "another part": ({"16.hook": torch.zeros(WIDTH)}, "t", "16.hook is unknown"),
    "too many": (
        {"16.down": torch.zeros(LONG, WIDTH).half(), "16.up": torch.zeros(WIDTH, LONG).half()},
        "t",
        "over the budget",
    ),
    "far too many": ({"16.bias": torch.zeros(200_000)}, "t", "larger than"),
    "none": ({}, "t", "no tensor"),
}


@pytest.mark.parametrize("how", BAD)
def test_a_file_against_the_rules_is_refused_in_one_line(how, handed_in):
    tensors, team, part = BAD[how]
    with pytest.raises(InputError, match=part) as caught:
        handed_in(tensors, team)
    assert "\n" not in str(caught.value)


def test_a_pickle_or_half_a_file_is_never_read(tmp_path, model):
    path = tmp_path / "a.safetensors"
    torch.save({"16.bias": torch.zeros(WIDTH)}, path)
    with pytest.raises(InputError, match="no whole safetensors file"):
        contest.read(path, model)
    save_file({"16.bias": torch.zeros(WIDTH)}, path)
    path.write_bytes(path.read_bytes()[:-3])
    with pytest.raises(InputError, match="no whole safetensors file"):
        contest.read(path, model)


@pytest.mark.slow
def test_table_of_files_on_the_embedded_model(tmp_path):
    """The baseline stands between the pruned and the dense model; what is refused has no place."""
    model = load(EMBEDDED, device="cpu")
    ids = calibration_text(model.tokenizer, samples=16, length=256).ids
    baseline = contest.linear_baseline(model, ids, leaderboard.BASELINE_RANK)
    contest.save(tmp_path / "one.safetensors", "baseline", baseline)
    (tmp_path / "=two|.safetensors").write_text("nothing")
    table = leaderboard.leaderboard(model, tmp_path, capitals=16, each=0)
    assert table["team"].tolist()[:3] == ["baseline", "dense model", "nothing restored"]
    ours, dense, pruned = table["capitals"][:3]
    assert pruned + 0.2 < ours <= dense + 0.1
    assert pruned + 0.4 < dense
    assert table["parameters"][0] <= contest.BUDGET
    assert table["nats"][1] < table["nats"][0] < table["nats"][2]
    assert pd.isna(table["place"][3])
    shown = leaderboard.markdown(table)
    assert "| _two_.safetensors |" in shown
    assert shown.count("\n| ") == 4


def test_a_folder_without_files_is_refused(tmp_path, capsys):
    assert leaderboard.main([str(tmp_path)]) == 2
    assert "holds no *.safetensors" in capsys.readouterr().err
