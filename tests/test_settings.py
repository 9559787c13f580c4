"""Names of pruned models, and the parameters that they stand for."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers.errors import InputError
from helpers.pruning.methods import METHODS
from runs.parameters import SETTING, RunParameters, validate
from runs.settings import named, setting_name

RUN = validate({"method": "wanda", "sparsity": 0.4})


@given(
    st.one_of(
        st.tuples(st.integers(1, 999), st.sampled_from("AMB")).map(
            lambda pair: f"Drop-{pair[0]}{pair[1]}"
        ),
        st.tuples(
            st.sampled_from([method.title for method in METHODS.values()]),
            st.one_of(
                st.integers(0, 99).map(lambda share: f"{share}%"),
                st.sampled_from(["37.5%", "2:4", "4:8", "1:16"]),
            ),
        ).map(" ".join),
        st.just("Dense"),
    )
)
def test_a_name_gives_the_parameters_that_are_called_so(name):
    found = named(RUN, f" {name.lower()} ,")
    assert [*found] == [name]
    assert setting_name(validate(found[name].model_dump())) == name


def test_names_keep_their_order_and_stand_once():
    found = named(RUN, "Wanda 2:4,Drop-2M,Wanda 50%,Drop-2M")
    assert [*found] == ["Wanda 2:4", "Drop-2M", "Wanda 50%"]
    assert (found["Wanda 2:4"].whole_amount, found["Wanda 2:4"].whole_pattern) == (0.5, "2:4")
    assert (found["Wanda 50%"].whole_amount, found["Wanda 50%"].whole_pattern) == (0.5, "")
    assert (found["Drop-2M"].whole_amount, found["Drop-2M"].whole_target) == (2.0, "mlp")


def test_a_checkpoint_is_the_runs_own(tmp_path):
    run = validate({"method": "checkpoint", "checkpoint": str(tmp_path)})
    assert named(run, "Checkpoint,Drop-1A")["Checkpoint"] == run
    assert not named(run, "Drop-1A")["Drop-1A"].checkpoint
    with pytest.raises(InputError, match="unknown pruned model 'Checkpoint'"):
        named(RUN, "Checkpoint")


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ("Drop-8", "unknown pruned model 'Drop-8': known are names such as Dense, Drop-8A"),
        ("Wanda", "unknown pruned model 'Wanda'"),
        ("Wanda 150%", "unknown pruned model 'Wanda 150%'"),
        ("Wanda 4:4", "pattern 4:4 keeps all"),
        (" , ", "names no model"),
    ],
)
def test_other_names_are_refused_in_one_line(names, message):
    with pytest.raises(InputError, match=message) as caught:
        named(RUN, names)
    assert "\n" not in str(caught.value)


def test_what_a_dense_model_does_not_read_is_no_part_of_its_identity():
    uses = ("method", "target", "dropped", "sparsity", "pattern", "calibration")
    dense = named(RUN, "Dense")["Dense"]
    assert dense.unread(uses) >= {"target", "sparsity", "pattern", "calibration"}
    assert "sparsity" in named(RUN, "Wanda 2:4")["Wanda 2:4"].unread(uses)
    assert "sparsity" not in named(RUN, "Wanda 40%")["Wanda 40%"].unread(uses)


def test_a_pattern_that_keeps_all_or_none_is_refused():
    for pattern in ("4:4", "0:4", "2-4"):
        with pytest.raises(InputError, match="it takes empty, or a pattern such as 2:4"):
            validate({"pattern": pattern})


def test_a_method_is_called_by_its_title_or_its_name_whatever_signs_it_has(monkeypatch):
    odd = METHODS["magnitude"]
    monkeypatch.setitem(METHODS, "odd", type(odd)("|W|+ (odd)", odd.score))
    assert [*named(RUN, "|w|+ (ODD) 50%")] == [*named(RUN, "odd 50%")] == ["|W|+ (odd) 50%"]
    with pytest.raises(InputError, match=r"methods are .*SparseGPT.*\|W\|\+ \(odd\)"):
        named(RUN, "|W| 50%")
    monkeypatch.setitem(METHODS, "odd", type(odd)("Wanda", odd.score))
    with pytest.raises(ValueError, match="two methods are called 'wanda'"):
        named(RUN, "Wanda 50%")


QUANTIZED = ["RTN 4", "GPTQ 3", "AWQ 2", "NF4", "FP4", "INT8", "Wanda 50% + RTN 4", "Drop-2M + NF4"]


@pytest.mark.parametrize("name", QUANTIZED)
def test_names_of_quantized_models_come_back(name):
    found = named(RunParameters(quantizer="awq", bits=2), name)
    assert list(found) == [name]
    (one,) = found.values()
    assert not one.dense
    assert one.whole == ("+" not in name)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("RTN 5", "RTN takes one of 8, 6, 4, 3, 2 bits"),
        ("RTN", "RTN takes one of"),
        ("NF4 4", "NF4 has 4 bits and takes no number"),
        ("RTN 4 + Wanda 50%", "unknown pruned model"),
        ("Wanda 50% + Wanda 2:4", "unknown pruned model"),
        ("RTN 4 + NF4", "quantizes twice"),
        ("INT4", "unknown pruned model 'INT4'"),
    ],
)
def test_a_name_of_no_quantized_model_is_refused(name, said):
    with pytest.raises(InputError, match=re.escape(said)):
        named(RunParameters(), name)


def test_bits_mean_nothing_without_a_simulated_quantizer():
    uses = ("method", *SETTING)
    assert {"quantizer", "bits", "group_size"} <= RunParameters(dropped=1).unread(uses)
    assert {"bits", "group_size"} <= RunParameters(quantizer="nf4").unread(uses)
    assert not {"quantizer", "bits", "group_size"} & RunParameters(quantizer="rtn").unread(uses)
    assert "calibration" in RunParameters(quantizer="rtn", dropped=0).unread((*uses, "calibration"))
    assert "calibration" not in RunParameters(quantizer="gptq", dropped=0).unread(
        (*uses, "calibration")
    )


def test_what_is_removed_says_what_is_quantized():
    names = {"RTN 4": "rtn4", "NF4": "nf4", "Wanda 50% + RTN 3": "wanda+rtn3", "Dense": "drop"}
    for name, method in names.items():
        (one,) = named(RunParameters(), name).values()
        assert one.removed["method"] == method
