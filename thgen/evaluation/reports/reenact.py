"""A method on rendered people that it never saw, driven by themselves and by others, beside a floor and a ceiling.

floor    the source photo as it is, whatever was asked for
ceiling  the source warped by the true flow: what perfect motion reaches when nothing hidden is painted
true     the wanted frames themselves: what the analyser's own errors leave of a perfect result
"""

from __future__ import annotations

import argparse
from collections import defaultdict

import cv2
import numpy as np
import torch

from thgen.evaluation.metrics import motion
from thgen.evaluation.metrics.appearance import psnr, region_mask, ssim
from thgen.evaluation.report import Report, Value
from thgen.evaluation.scenes.held_out import HeldOut, held_out
from thgen.face.crop import ANALYSER, landmark_square
from thgen.face.look import Look, Looker
from thgen.methods.base import Factors, Identity, Method
from thgen.synth.head.facekit import HeadMesh

FLOW_SIZE = 128
ROWS = ("copy the source (floor)", "self-driven", "cross-driven", "true flow (ceiling)", "the true frames")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--method", default="rig")
    parser.add_argument("--identities", type=int, default=50, help="unseen people to render (default: 50)")
    parser.add_argument("--frames", type=int, default=4, help="driven frames of each (default: 4)")
    parser.add_argument("--size", type=int, default=256, help="px of the crops (default: 256)")
    parser.add_argument("--device", default="cpu")


def run(args: argparse.Namespace) -> Report:
    """Raises AssetError, MethodError, WeightsError."""
    from thgen.pipeline import method_class
    from thgen.weights import hub

    device = torch.device(args.device)
    method = method_class(args.method).load(device)
    looker = Looker(hub.load_network("analyser", device), device)
    return measure(method, looker, args.identities, args.frames, args.size)


def measure(
    method: Method, looker: Looker, identities: int, frames: int, size: int, mesh: HeadMesh | None = None
) -> Report:
    """Render, drive, compare. Each driving frame is read by itself (no smoothing), as the states are independent."""
    scores: dict[str, dict[str, list[float]]] = {name: defaultdict(list) for name in ROWS}
    for person in held_out(identities, frames, size, FLOW_SIZE if size % FLOW_SIZE == 0 else size, mesh=mesh):
        for name, (images, flow) in _answers(method, person).items():
            score(scores[name], images, flow, person, looker)
    rows: list[dict[str, Value]] = []
    for name in ROWS:
        means: dict[str, Value] = {k: mean(v) for k, v in scores[name].items()}
        rows.append({"": name, **means})
    return Report(
        method.name, f"Method {method.name} on held-out renders", rows,
        f"{identities} rendered people that no training saw × {frames} independent states. Self-driven: the person's "
        "own frames drive, absolutely; cross-driven: another person in the same states, relative to their first frame. "
        "LMD: the analyser's 68 landmarks of the result against the true ones, % of the inter-ocular distance; LMD "
        "mouth: the mouth's 20, both moved to one centre. EPE: flow end-point error over the visible head, % of half "
        "the crop's width. Pose, gaze and openness: the analyser on the result against the truth. The analyser's own "
        "errors are in all of these: see the row of the true frames.",
        {"size": size, "frames": identities * frames},
    )  # fmt: skip


def _answers(method: Method, person: HeldOut) -> dict[str, tuple[np.ndarray, np.ndarray | None]]:
    """Per row: images uint8 [T S S 3] for frames 1 … T, and the flow [T F F 2] behind them where it is known."""
    clip = person.clip
    source, wanted, flow_size = clip.frames[0], len(clip.frames) - 1, clip.flow.shape[1]
    out: dict[str, tuple[np.ndarray, np.ndarray | None]] = {
        ROWS[0]: (np.repeat(source[None], wanted, 0), np.zeros_like(clip.flow[1:])),
        ROWS[3]: (np.stack([warp(source, flow) for flow in clip.flow[1:]]), clip.flow[1:]),
        ROWS[4]: (clip.frames[1:], clip.flow[1:]),
    }
    identity = method.encode_photo(source)
    own = single_frames(method, clip.frames)
    out[ROWS[1]] = decode(method, identity, self_target(identity.own, own), flow_size)
    if person.driver is not None:
        theirs = single_frames(method, person.driver.frames)
        target = {name: identity.own[name] + v[1:] - v[:1] for name, v in theirs.items()}
        out[ROWS[2]] = decode(method, identity, target, flow_size)
    return out


def single_frames(method: Method, frames: np.ndarray) -> Factors:
    """Factors of frames that do not follow each other in time: each is a clip of its own, so nothing is smoothed."""
    parts = [method.encode_clip([frame]) for frame in frames]
    return {name: torch.cat([p[name] for p in parts]) for name in parts[0]}


def self_target(own: Factors, driven: Factors) -> Factors:
    """The driver's values as they are; only the head's shift counts from the first frame, as in `controls`."""
    target = {name: value[1:].clone() for name, value in driven.items()}
    if "pose" in target:
        shift = driven["pose"][1:, 3:] - driven["pose"][:1, 3:]
        target["pose"][:, 3:] = own["pose"][:, 3:] + shift
    return target


@torch.inference_mode()
def decode(method: Method, identity: Identity, target: Factors, flow_size: int) -> tuple[np.ndarray, np.ndarray | None]:
    """Frames uint8 [T S S 3], and their flow [T flow_size flow_size 2] where the method tells it."""
    decoded = method.decode(identity, target)
    flow = None if decoded.flow is None else _resized(decoded.flow, flow_size)
    return decoded.images(), flow


def _resized(flow: torch.Tensor, size: int) -> np.ndarray:
    """flow [T 2 h w] in half-widths -> float32 [T size size 2]."""
    out = torch.nn.functional.interpolate(flow.float(), size=size, mode="bilinear", align_corners=False)
    return out.permute(0, 2, 3, 1).cpu().numpy()


def warp(source: np.ndarray, flow: np.ndarray) -> np.ndarray:
    """source uint8 [S S 3] sampled at p + flow(p); flow [F F 2] in half-widths -> uint8 [S S 3]."""
    size = source.shape[0]
    full = cv2.resize(flow, (size, size), interpolation=cv2.INTER_LINEAR) * (size / 2)
    x, y = np.meshgrid(np.arange(size, dtype=np.float32), np.arange(size, dtype=np.float32))
    return cv2.remap(source, x + full[..., 0], y + full[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


def mean(values: list[float]) -> float:
    """Mean of the finite values: equal pictures have an infinite PSNR, and some frames lack a measure."""
    finite = [v for v in values if np.isfinite(v)]
    return float(np.mean(finite)) if finite else float("nan")


def score(
    scores: dict[str, list[float]], images: np.ndarray, flow: np.ndarray | None, person: HeldOut, looker: Looker
) -> None:
    """Append every measure of images uint8 [T S S 3] against the person's frames 1 … T."""
    clip = person.clip
    size = images.shape[1]
    for t, image in enumerate(images, start=1):
        truth, true = clip.frames[t], clip.keypoints[t]
        scores["PSNR dB"].append(psnr(image, truth))
        scores["SSIM"].append(ssim(image, truth))
        scores["PSNR mouth"].append(psnr(image, truth, region_mask(true, "mouth", size)))
        scores["PSNR eyes"].append(psnr(image, truth, region_mask(true, "eyes", size)))
        look = read(looker, image, true)
        seen = (look.keypoints / size * 2 - [1, 1, 0])[None]
        scores["LMD %"].append(motion.landmark_distance(seen[:, :68], true[None, :68]))
        scores["LMD mouth %"].append(motion.mouth_distance(seen[:, :68], true[None, :68]))
        head = clip.visible[t].astype(bool) & (clip.segmentation[t] > 0)
        epe = float("nan") if flow is None or not head.any() else motion.flow_error(flow[t - 1], clip.flow[t], head)
        scores["EPE %"].append(epe)
        pose = motion.pose_error(look.analysis.pose.numpy(), clip.pose[t : t + 1, :3])
        scores["pose °"].append(float(pose.mean()))
        gaze, opened = look.analysis.gaze.numpy(), clip.openness[t : t + 1] > 30
        scores["gaze °"].append(
            motion.gaze_error(gaze[opened], clip.gaze[t : t + 1][opened]) if opened.any() else float("nan")
        )
        scores["openness % points"].append(
            motion.openness_error(look.analysis.openness.numpy(), clip.openness[t : t + 1])
        )


def read(looker: Looker, image: np.ndarray, true: np.ndarray) -> Look:
    """The analyser on a result, looking where the true face is: a result that went elsewhere is measured as off."""
    in_px = (true[:68, :2] + 1) / 2 * image.shape[0]
    return looker.looks(image, [landmark_square(in_px, ANALYSER)])[0]
