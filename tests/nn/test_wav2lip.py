"""Wav2Lip's audio encoder and sync expert: published sizes and small ones."""

import pytest
import torch

from thgen.nn.wav2lip import AudioEncoder, SyncExpert


@pytest.mark.parametrize(("network", "millions"), [(AudioEncoder, 2.8), (SyncExpert, 16.4)])
def test_sizes_are_those_of_the_released_networks(network, millions):
    with torch.device("meta"):
        net = network()
    assert sum(p.numel() for p in net.parameters()) / 1e6 == pytest.approx(millions, abs=0.05)


def test_the_experts_audio_encoder_has_one_layer_more():
    with torch.device("meta"):
        expert, encoder = SyncExpert().audio_encoder, AudioEncoder().audio_encoder
    assert len(expert) == len(encoder) + 1 and sum(p.numel() for p in expert.parameters()) == pytest.approx(3.4e6, 0.02)


def test_codes_of_a_voice_are_not_negative():
    torch.manual_seed(0)
    net = AudioEncoder(4).eval()
    codes = net(torch.randn(3, 1, 80, 16))
    assert codes.shape == (3, net.features) == (3, 64) and codes.min() >= 0 and codes.max() > 0


def test_features_of_both_kinds_of_windows_are_compared_by_their_direction():
    torch.manual_seed(0)
    net = SyncExpert(4).eval()
    video, audio = net(torch.rand(2, 15, 48, 96), torch.randn(2, 1, 80, 16))
    assert video.shape == audio.shape == (2, 64)
    torch.testing.assert_close(video.norm(dim=1), torch.ones(2))
    torch.testing.assert_close(audio.norm(dim=1), torch.ones(2))
    names = net.state_dict()
    assert "face_encoder.0.conv_block.0.weight" in names and "audio_encoder.0.conv_block.1.running_mean" in names
