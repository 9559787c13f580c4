"""The stored logits of two MLPs, against a naive pass through the tiny model."""

import pytest
import torch
from conftest import LAYERS, VOCABULARY

from helpers.models.load import load
from helpers.texts.data import select_prompts, tokenize
from measurements.example_state import example_state
from reporting import derivations, figures, states
from runs import parameters


@pytest.fixture(scope="module")
def measured(tiny_folder, tmp_path_factory):
    values = {"model": str(tiny_folder), "prompts": "Math2,MC1", "device": "cpu"}
    run = parameters.validate(values | {"results": str(tmp_path_factory.mktemp("results"))})
    return example_state(run)


def test_logits_are_those_of_the_model_with_and_without_the_mlp(measured, tiny_folder):
    """The MLP's own output is caught where it is made, and taken out of the residual stream."""
    loaded = load(str(tiny_folder), "main", "float32", "cpu")
    ids, _ = tokenize(select_prompts("Math2"), loaded.tokenizer, True, "cpu")
    model = loaded.model
    added, after = {}, {}
    for number, block in enumerate(model.model.layers):
        block.mlp.register_forward_hook(
            lambda module, args, output, number=number: added.update({number: output[0, -1]})
        )
        block.register_forward_hook(
            lambda module, args, output, number=number: after.update(
                {number: (output[0] if isinstance(output, tuple) else output)[0, -1]}
            )
        )
    with torch.no_grad():
        logits = model(input_ids=ids).logits[0, -1]
        table = measured.table("logits")
        assert sorted(table["layer"].unique()) == [LAYERS // 2, LAYERS - 1]
        for layer, rows in table.groupby("layer"):
            assert rows["token"].tolist() == list(range(VOCABULARY))
            wanted = [
                model.lm_head(model.model.norm(state))
                for state in (after[layer], after[layer] - added[layer])
            ]
            z = torch.tensor(rows["z"].to_numpy())
            delta = torch.tensor(rows["delta"].to_numpy())
            assert torch.allclose(z, wanted[0].double(), atol=1e-5)
            assert torch.allclose(z + delta, wanted[1].double(), atol=1e-5)
            if layer == LAYERS - 1:
                assert torch.allclose(z, logits.double(), atol=1e-5)


def test_the_table_says_what_it_holds(measured):
    table = measured.table("logits")
    assert set(table["sublayer"]) == {"mlp"}
    assert set(table["lens"]) == {"normed"}
    assert set(table["prompt"]) == {"Math2"}
    assert measured.manifest["facts"]["prompt"] == "Math2"
    assert table.set_index("token")["text"].loc[3].iloc[0]


def test_states_and_figures_are_made_of_it(measured):
    found = states.states(measured.table("logits"))
    assert [s.name for s in found] == [f"MLP of layer {n}" for n in (LAYERS // 2, LAYERS - 1)]
    errors = derivations.errors([derivations.THEOREM_3], found)
    words = {"name": "orders", "title": "t", "caption": "c", "provenance": {}, "y_label": "error"}
    drawn = figures.lines(
        errors, **words, references=derivations.guides(errors), **derivations.LOG_AXES
    )
    panels = drawn.figure.panels
    assert [panel.title for panel in panels] == [s.name for s in found]
    for panel in panels:
        assert [line.label for line in panel.lines] == ["T = 0.5", "T = 1", "T = 2"]
        assert len(panel.references) == 3
    line = panels[0].lines[1]
    truth = derivations.THEOREM_3.error(found[0].scaled(line.x[3]))
    assert line.mean[3] == pytest.approx(truth.item())
