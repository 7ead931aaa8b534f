"""What methods declare holds together: names, classes, controls, and the sizes of the networks that run."""

from itertools import combinations

import pytest
import torch

from thgen.declare import Choice, Slider, Switch
from thgen.errors import ControlError
from thgen.methods import METHODS
from thgen.methods.fc_tfg.latents import motion_factors
from thgen.pipeline import available_methods, method_class
from thgen.recipe import SECOND
from thgen.settings import per_factor
from thgen.weights.hub import Networks


@pytest.mark.parametrize("name", METHODS)
def test_a_method_declares_itself(name):
    declared = METHODS[name]
    assert declared.name == name and method_class(name).declaration is declared
    factors = [factor.name for factor in declared.factors]
    assert len(set(factors)) == len(factors) and all(c.factor in factors for c in declared.controls)
    assert all(len(f.dims) in (0, f.size) and len(f.limits) in (0, f.size) for f in declared.factors)


def test_methods_agree_on_what_they_share():
    """The page has one widget per key: two meanings of it would be one too many."""
    for one, other in combinations(METHODS.values(), 2):
        keys = {c.key: c for c in one.controls}
        assert all(keys.get(c.key, c) == c for c in other.controls)
        labels = {f.name: (f.label, f.sources, f.blends) for f in one.factors}
        assert all(labels.get(f.name, (f.label, f.sources, f.blends)) == (f.label, f.sources, f.blends)
                   for f in other.factors)  # fmt: skip


def test_no_control_takes_the_name_of_a_field_of_a_factor():
    taken = {"clip", "to", "t", "path", *per_factor()}
    for method in METHODS.values():
        assert not [c.key for c in method.controls if c.key.rpartition(".")[2] in taken]
        assert not [f.name for f in method.factors if f.name.endswith(SECOND) or "." in f.name]


@pytest.mark.weights
@pytest.mark.parametrize("name", [n for n in available_methods() if n.startswith("pd_fgc")])
def test_declared_sizes_are_those_of_the_bundled_networks(name):
    method = method_class(name).load(Networks("cpu"))
    sizes = method.faces.config  # type: ignore[attr-defined]
    declared = {factor.name: factor.size for factor in METHODS[name].factors}
    assert declared["lip"] == sizes["lip"] and declared["expression"] == sizes["expression"]
    assert declared["blink"] + declared["gaze"] == sizes["eye"] and declared["pose"] == sizes["pose"]


@pytest.mark.weights
@pytest.mark.parametrize("name", [n for n in available_methods() if n.startswith("fc_tfg")])
def test_declared_sizes_are_those_of_the_bundled_codes(name):
    method = method_class(name).load(Networks("cpu"))
    fusion, voice = method.fusion, method.voice  # type: ignore[attr-defined]
    found = motion_factors(fusion, torch.zeros(1, max(fusion.at) + 1, fusion.config["latent"]))
    sizes = {n: v.shape[1] for n, v in found.items()} | {"speech": voice.features}
    assert sizes == {factor.name: factor.size for factor in METHODS[name].factors}


def test_controls_check_their_values():
    slider = Slider("a.b", "B", "a", "", 0, 1)
    choice, switch = Choice("a.c", "C", "a", ("x", "y"), "x"), Switch("a.d", "D", "a")
    assert (slider.checked("0.5"), choice.checked("y"), switch.checked("1"), switch.checked(False)) == (
        0.5, "y", True, False
    )  # fmt: skip
    for control, wrong in ((slider, 2), (choice, "z"), (choice, 1), (switch, "perhaps"), (switch, 1)):
        with pytest.raises(ControlError, match=control.key):
            control.checked(wrong)


def test_what_a_method_lacks_is_refused_by_name():
    rig, paper = METHODS["rig"], METHODS["pd_fgc.paper"]
    with pytest.raises(ControlError, match="no factor 'hat'; choose one of: lip, pose"):
        rig.factor("hat")
    with pytest.raises(ControlError, match="Head pose cannot be driven by a voice with rig"):
        rig.driven_by("pose", "audio")
    with pytest.raises(ControlError, match=r"no sliders: leave out 'pose\.yaw'"):
        paper.control("pose.yaw")
