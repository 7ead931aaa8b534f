"""Groups of keypoints and what each tile places."""

import pytest

from thgen.encoder.groups import points_of
from thgen.errors import AssetError
from thgen.synth.clip import head_mesh
from thgen.synth.head.keypoints import build_layout
from thgen.synth.head.performer import neck_weight


@pytest.fixture(params=["ellipsoid", pytest.param("facekit", marks=pytest.mark.facekit)])
def any_layout(request):
    try:
        return build_layout(head_mesh(request.param), neck_weight)
    except AssetError as error:
        pytest.skip(str(error))


def test_every_keypoint_is_in_one_group(any_layout):
    groups = points_of(any_layout).groups
    numbers = sorted(p for group in groups.values() for p in group)
    assert numbers == list(range(len(any_layout.index))) and all(groups.values())


def test_small_parts_have_groups_of_their_own(any_layout):
    groups = points_of(any_layout).groups
    assert {68, 69} <= set(groups["iris"]) and {37, 44} <= set(groups["lids"]) and {61, 66} <= set(groups["inner_lips"])
    assert {48, 57} <= set(groups["lips"]) and {17, 26} <= set(groups["brows"]) and {0, 8, 16} <= set(groups["contour"])


def test_no_point_is_placed_by_two_tiles(any_layout):
    points = points_of(any_layout)
    placed = [*points.eyes[0], *points.eyes[1], *points.mouth, *points.brows]
    assert len(placed) == len(set(placed))
    assert {68, 42, 45} <= set(points.eyes[0]) and {69, 36, 39} <= set(points.eyes[1])
    assert set(range(48, 68)) <= set(points.mouth) and set(range(17, 27)) <= set(points.brows)
