import torch

from thgen.analyser.network import INPUT_SIZE, Analyser, PatchHead
from thgen.schema import COEFFICIENTS, SEGMENTS


def tiny() -> Analyser:
    torch.manual_seed(0)
    points = [[70, 71, 42, 43], [72, 73, 36, 37]]
    return Analyser(80, points, [74, 75, 48, 49, 50], channels=(8, 16, 16, 24, 32), hidden=48)


def test_shapes_and_gradients():
    net = tiny()
    view = torch.rand(3, 3, INPUT_SIZE, INPUT_SIZE) * 2 - 1
    analysis, segments = net(view), net.segment(view)
    shapes = {n: tuple(getattr(analysis, n).shape) for n in analysis.__dataclass_fields__}
    assert shapes == {
        "keypoints": (3, 80, 3), "pose": (3, 3), "gaze": (3, 2, 2), "openness": (3, 2),
        "coefficients": (3, len(COEFFICIENTS)), "face": (3,), "rough": (3, 80, 3),
    }  # fmt: skip
    assert segments.shape == (3, len(SEGMENTS), INPUT_SIZE // 2, INPUT_SIZE // 2)
    (segments.square().mean() + sum(getattr(analysis, n).square().mean() for n in shapes)).backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in net.parameters())


def test_patches_refine_only_their_own_points():
    net = tiny()
    analysis = net(torch.rand(1, 3, INPUT_SIZE, INPUT_SIZE))
    same = (analysis.keypoints == analysis.rough).all(-1)[0]
    close = {*net.eye_points[0], *net.eye_points[1], *net.mouth_points}
    assert {i for i in range(80) if not same[i]} == close
    assert torch.equal(analysis.keypoints[..., 2], analysis.rough[..., 2]), "depth comes from the whole crop"


def test_points_follow_their_patch():
    """If the patch is moved, rotated and scaled, its points move, rotate and scale in the same way."""
    torch.manual_seed(1)
    patch = PatchHead(4, (32, 32)).eval()
    place = lambda *v: torch.tensor([v], dtype=torch.float32)  # noqa: E731
    flat = torch.zeros(1, 3, 128, 128)
    here, _ = patch(flat, place(0.0, 0.0), torch.tensor([0.2]), torch.tensor([0.0]))
    there, _ = patch(flat, place(0.3, -0.1), torch.tensor([0.4]), torch.tensor([0.0]))
    assert torch.allclose(there, here * 2 + place(0.3, -0.1), atol=1e-5)
    quarter, _ = patch(flat, place(0.0, 0.0), torch.tensor([0.2]), torch.tensor([torch.pi / 2]))
    assert torch.allclose(quarter, torch.stack([-here[..., 1], here[..., 0]], -1), atol=1e-5)


def test_config_rebuilds_the_network():
    net = tiny()
    again = Analyser(**{k: v for k, v in net.config.items() if k != "class"})
    again.load_state_dict(net.state_dict())
