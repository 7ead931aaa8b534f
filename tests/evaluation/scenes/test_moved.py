"""A state moves by what its slider says, and by nothing else."""

from thgen.evaluation.scenes.moved import moved_state


def test_a_render_moves_by_what_its_slider_says():
    assert moved_state("gaze.yaw", -20).gaze.tolist() == [[-20, 0], [-20, 0]]
    turned = moved_state("pose.roll", 12)
    assert turned.pose.tolist() == [0, 0, 12, 0, 0, 0] and not turned.coefficients.any()
    open_eyes, closed = (moved_state("blink.openness", v).coefficients for v in (100, 0))
    assert not open_eyes.any() and (closed > 0).sum() == 2
