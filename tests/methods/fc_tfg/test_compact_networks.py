"""E_inv and the heads of the compact preset: what each kind of index moves."""

import torch

from thgen.methods.fc_tfg.compact_networks import FaceCodes, IndexHeads
from thgen.methods.fc_tfg.declaration import COMPACT_CODE
from thgen.nn.coefficients import pick
from thgen.schema import COEFFICIENTS

HEADS = {"latent": 4, "coarse": 2, "lips": 1, "eyes": 2, "hidden": 8, "layers": 1}


def test_codes_of_each_index():
    net = FaceCodes(10, 8, 1, 6, 3).eval()
    x = torch.randn(2, 10)
    codes = net(x)
    assert codes.shape == (2, 3, 6)
    torch.testing.assert_close(codes.flatten(1), (net.linear(net.norm(x)) + net.body(net.norm(x))))


def test_the_config_builds_the_same_network():
    for net in (FaceCodes(10, 8, 1, 6, 3), IndexHeads(**HEADS)):
        config = {name: value for name, value in net.config.items() if name != "class"}
        again = type(net)(**config)
        assert again.config == net.config
        again.load_state_dict(net.state_dict())


def changed(index: int) -> dict[str, set[str]]:
    """What changes in the state if the codes of one index do."""
    torch.manual_seed(0)
    net = IndexHeads(**HEADS)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    codes = torch.randn(1, 5, 4)
    other = codes.clone()
    other[:, index] += 1
    one, two = net(codes.flatten(1)), net(other.flatten(1))
    parts = {name for name in ("gaze", "turn", "place") if not torch.equal(getattr(one, name), getattr(two, name))}
    coefficients = (one.coefficients != two.coefficients)[0].tolist()
    return {"parts": parts, "names": {n for n, moved in zip(COEFFICIENTS, coefficients, strict=True) if moved}}


def test_each_kind_of_index_moves_its_own_part_of_the_face():
    coarse, lips, eyes = changed(1), changed(2), changed(4)
    assert coarse == {"parts": {"turn", "place"}, "names": set()}
    assert lips["parts"] == set() and eyes["parts"] == {"gaze"}
    assert lips["names"] | eyes["names"] == set(COEFFICIENTS) and not lips["names"] & eyes["names"]
    assert {"jawOpen", "mouthSmile_L", "mouthPucker"} <= lips["names"]
    assert {"eyeBlink_L", "browDown_R", "eyeLookUp_L", "cheekSquint_L"} <= eyes["names"]


def test_gradients_reach_all_codes():
    net = IndexHeads()
    codes = torch.randn(3, 8 * COMPACT_CODE, requires_grad=True)
    state = net(codes)
    (state.turn.sum() + state.gaze.sum() + pick(state.coefficients, COEFFICIENTS).sum()).backward()
    assert (codes.grad != 0).all()
