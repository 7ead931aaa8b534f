"""The latent fusion network: which index depends on what, how the training starts, and what time does."""

import pytest
import torch

from thgen.methods.fc_tfg.networks import LatentFusion

SMALL = {"latent": 6, "voice": 4, "indices": 14, "hidden": 8}


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def moved(net: LatentFusion) -> LatentFusion:
    """The network after some training: no layer is as it began."""
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    return net


def test_sizes_of_the_paper():
    with torch.device("meta"):
        net = LatentFusion()
    square, bias = 512 * 512, 512
    assert sum(p.numel() for p in net.canonical.parameters()) == 8 * 2 * (square + bias)
    assert sum(p.numel() for p in net.motion.parameters()) == 8 * 3 * (square + bias) + 2 * square
    assert sum(p.numel() for p in net.temporal.parameters()) == 3 * square + bias


def test_indices_are_counted_from_one_and_only_7_and_8_hear_the_voice():
    net = moved(LatentFusion(**SMALL))
    assert net.at == [0, 1, 2, 3, 6, 7, 8, 9]
    driving, voice = torch.randn(2, 14, 6), torch.randn(2, 4)
    before = net.motion_codes(driving, voice)
    heard = (net.motion_codes(driving, voice + 1) - before).abs().amax((0, 2)) > 1e-6
    assert heard.tolist() == [False] * 4 + [True, True] + [False] * 2
    from_zero = LatentFusion(**SMALL, count_from=0)
    assert from_zero.at == [1, 2, 3, 4, 7, 8, 9, 10]


def test_each_index_has_weights_of_its_own_and_sees_its_own_code_alone():
    net = moved(LatentFusion(**SMALL))
    same = torch.randn(1, 1, 6).expand(1, 14, 6).contiguous()
    for codes in (net.canonical_codes(same), net.motion_codes(same, torch.zeros(1, 4))):
        assert codes.shape == (1, 8, 6) and not torch.allclose(codes[:, 0], codes[:, 1])
    other = same.clone()
    other[:, 6] += 1
    for codes_of in (net.canonical_codes, lambda codes: net.motion_codes(codes, torch.zeros(1, 4))):
        changed = (codes_of(same) - codes_of(other)).abs().amax((0, 2)) > 0
        assert changed.tolist() == [k == 4 for k in range(8)]


@pytest.mark.parametrize("temporal", ["conv", "lstm"])
def test_the_training_starts_from_the_inverted_photo(temporal):
    net = LatentFusion(**SMALL, temporal=temporal)
    source, driving = torch.randn(2, 14, 6), torch.randn(2, 5, 14, 6)
    motion = net.motion_codes(driving.flatten(0, 1), torch.rand(10, 4)).unflatten(0, (2, 5))
    assert motion.abs().max() == 0
    fused = net.fused(net.canonical_codes(source), motion)
    assert fused.shape == (2, 5, 8, 6)
    torch.testing.assert_close(net.placed(source, fused[:, 3]), source, atol=1e-5, rtol=1e-5)
    fused.sum().backward()
    assert all(p.grad.abs().sum() > 0 for net_k in net.motion for p in net_k[-1].parameters()), "and motion can grow"


def test_the_other_indices_keep_the_photos_code():
    net = LatentFusion(**SMALL)
    source = torch.randn(2, 14, 6)
    placed = net.placed(source, torch.full((2, 8, 6), 9.0))
    assert torch.equal(placed[:, [4, 5, 10, 11, 12, 13]], source[:, [4, 5, 10, 11, 12, 13]])
    assert (placed[:, net.at] == 9).all() and not (source == 9).any()


def test_no_motion_is_the_canonical_face():
    net = LatentFusion(**SMALL)
    canonical = torch.randn(1, 8, 6)
    torch.testing.assert_close(net.fused(canonical, torch.zeros(1, 3, 8, 6))[:, 1], canonical)


def test_the_convolution_reaches_one_frame_to_each_side_at_its_own_index():
    net = moved(LatentFusion(**SMALL))
    canonical, motion = torch.randn(1, 8, 6), torch.randn(1, 7, 8, 6)
    other = motion.clone()
    other[:, 3, 2] += 1
    changed = (net.fused(canonical, motion) - net.fused(canonical, other)).abs().amax((0, 3)) > 1e-6
    assert [tuple(where) for where in changed.nonzero().tolist()] == [(2, 2), (3, 2), (4, 2)]
    still = motion[:, :1].expand(-1, 7, -1, -1)
    fused = net.fused(canonical, still)
    torch.testing.assert_close(fused, fused[:, :1].expand_as(fused)), "ends are repeated: a still face stays still"


def test_the_lstm_remembers_all_frames_before():
    net = moved(LatentFusion(**SMALL, temporal="lstm"))
    canonical, motion = torch.randn(1, 8, 6), torch.randn(1, 7, 8, 6)
    other = motion.clone()
    other[:, 3] += 1
    changed = (net.fused(canonical, motion) - net.fused(canonical, other)).abs().amax((0, 2, 3)) > 1e-7
    assert changed.tolist() == [False] * 3 + [True] * 4


def test_indices_that_the_generator_lacks_are_refused():
    with pytest.raises(ValueError, match="do not fit 8"):
        LatentFusion(**{**SMALL, "indices": 8})
    with pytest.raises(ValueError, match="do not fit 14"):
        LatentFusion(**SMALL, voiced=(5,))
    with pytest.raises(ValueError, match="one of conv, lstm, not 'mean'"):
        LatentFusion(**SMALL, temporal="mean")


def test_its_config_builds_it_again():
    net = LatentFusion(**SMALL, temporal="lstm")
    again = LatentFusion(**{k: v for k, v in net.config.items() if k != "class"})
    again.load_state_dict(net.state_dict())
    assert again.at == net.at and again.voiced == net.voiced
