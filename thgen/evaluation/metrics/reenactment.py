"""All measures of a result against the true frames of the same person: picture, landmarks, flow, pose, gaze, lids."""

from __future__ import annotations

import numpy as np

from thgen.evaluation.metrics import motion
from thgen.evaluation.metrics.appearance import psnr, region_mask, ssim
from thgen.evaluation.metrics.readings import in_crop, read_at
from thgen.evaluation.metrics.statistics import finite_mean
from thgen.face.observe import Observer
from thgen.synth.clip import ClipTruth


def frame_scores(
    images: np.ndarray, flow: np.ndarray | None, truth: ClipTruth, observer: Observer
) -> list[dict[str, float]]:
    """Scores of images uint8 [T S S 3] against frames 1 to T of the truth, whose frame 0 is the photo.

    flow: float32 [T F F 2] in crop half-widths, from the result to the photo, or None where the method has none.
    Returns measure -> value of each frame; the names state the units. NaN: cannot be measured in this frame.
    """
    return [
        _scores(image, None if flow is None else flow[t - 1], truth, t, observer)
        for t, image in enumerate(images, start=1)
    ]


def _scores(
    image: np.ndarray, flow: np.ndarray | None, truth: ClipTruth, t: int, observer: Observer
) -> dict[str, float]:
    true, points, size = truth.frames[t], truth.keypoints[t], image.shape[0]
    observation = read_at(observer, image, points)
    read = in_crop(observation, size)[None]
    head = truth.visible[t].astype(bool) & (truth.segmentation[t] > 0)
    gaze, opened = observation.analysis.gaze.numpy(), truth.openness[t : t + 1] > motion.OPEN_EYE
    nothing = float("nan")
    return {
        "PSNR dB": psnr(image, true),
        "SSIM": ssim(image, true),
        "PSNR mouth": psnr(image, true, region_mask(points, "mouth", size)),
        "PSNR eyes": psnr(image, true, region_mask(points, "eyes", size)),
        "LMD %": motion.landmark_distance(read[:, :68], points[None, :68]),
        "LMD mouth %": motion.mouth_distance(read[:, :68], points[None, :68]),
        "EPE %": nothing if flow is None or not head.any() else motion.flow_error(flow, truth.flow[t], head),
        "pose °": float(motion.pose_error(observation.analysis.pose.numpy(), truth.pose[t : t + 1, :3]).mean()),
        "gaze °": motion.gaze_error(gaze[opened], truth.gaze[t : t + 1][opened]) if opened.any() else nothing,
        "openness % points": motion.openness_error(observation.analysis.openness.numpy(), truth.openness[t : t + 1]),
    }


def means_of(frames: list[dict[str, float]]) -> dict[str, float]:
    """Mean of each measure over the frames in which it is finite."""
    return {name: finite_mean([frame[name] for frame in frames]) for name in (frames[0] if frames else ())}
