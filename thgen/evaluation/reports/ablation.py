"""Contribution of each part of Rig's generator: errors on the same people with one part switched off at a time.

Parts are switched off at inference only. The rest of the network was trained together with the missing part.
"""

from __future__ import annotations

import argparse
import copy
from collections.abc import Callable
from dataclasses import replace

import torch

from thgen.compact.flow.network import GuidedFlow
from thgen.evaluation.metrics.reenactment import frame_scores, means_of
from thgen.evaluation.report import Report, Value
from thgen.evaluation.scenes.held_out import flow_size, held_out
from thgen.evaluation.subject import Subject, load
from thgen.methods.rig.method import Rig
from thgen.synth.head.facekit import HeadMesh

SURE = 100.0  # logit: a probability that float32 cannot tell from 1
PAINT, KEEP, HEAD = slice(0, 12), slice(12, 16), slice(16, 20)  # channels of GuidedFlow.to_maps before the shuffle


def _nothing(net: GuidedFlow) -> None:
    pass


def _no_keypoints(net: GuidedFlow) -> None:
    net.coarse.log_weight.fill_(-SURE)


def _no_correction(net: GuidedFlow) -> None:
    for parameter in net.to_flow.parameters():
        parameter.zero_()


def _no_paint(net: GuidedFlow) -> None:
    assert net.to_maps.bias is not None
    net.to_maps.bias[KEEP] = SURE


def _only_paint(net: GuidedFlow) -> None:
    assert net.to_maps.bias is not None
    net.to_maps.bias[KEEP] = -SURE


# Row -> how to switch the part off, in a copy of the network.
PARTS: dict[str, Callable[[GuidedFlow], None]] = {
    "everything in place": _nothing,
    "without the keypoints' flow": _no_keypoints,
    "without the network's correction": _no_correction,
    "without paint": _no_paint,
    "paint alone": _only_paint,
}
NO_LAYERS = "without the photo's segments"  # the network alone decides where head and hair are


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--identities", type=int, default=20, help="unseen people to render (default: 20)")
    parser.add_argument("--frames", type=int, default=4, help="driven frames of each (default: 4)")
    parser.add_argument("--size", type=int, default=256, help="px of the crops (default: 256)")


def run(args: argparse.Namespace) -> Report:
    """Raises AssetError, WeightsError."""
    (subject,) = load(["rig"], "cpu")
    return measure(subject, args.identities, args.frames, args.size)


@torch.no_grad()
def variants(rig: Rig) -> dict[str, Rig]:
    """One Rig per row of PARTS; they share all other networks."""
    out = {}
    for name, switch_off in PARTS.items():
        net = copy.deepcopy(rig.generator.flow)
        switch_off(net)
        out[name] = Rig(rig.generator.analyser, rig.encoder, rig.audio, net, rig.device)
    return out


def measure(subject: Subject, identities: int, frames: int, size: int, mesh: HeadMesh | None = None) -> Report:
    """Each person's own frames drive it with absolute motion, as in the self-driven row of `evaluate reenact`."""
    rig, observer = subject.method, subject.observer
    assert isinstance(rig, Rig)
    ablated = variants(rig)
    scores: dict[str, list[dict[str, float]]] = {name: [] for name in (*PARTS, NO_LAYERS)}
    for person in held_out(identities, frames, size, flow_size(size), drivers=False, mesh=mesh):
        clip = person.clip
        identity = subject.photo(clip.frames[0])
        target = subject.reenact(identity, subject.states(clip.frames), "absolute")
        photo = identity.state["photo"]
        photos = {name: (method, method.generator.with_rest_error(photo)) for name, method in ablated.items()}
        photos[NO_LAYERS] = rig, replace(photo, layers=None)
        for name, (method, settled) in photos.items():
            own = replace(identity, state={**identity.state, "photo": settled})
            images, flow = Subject(method, observer).pictures_and_flow(own, target, flow_size(size))
            scores[name] += frame_scores(images, flow, clip, observer)
    rows: list[dict[str, Value]] = [{"": name, **means_of(values)} for name, values in scores.items()]
    return Report(
        "ablation", "Rig with one part switched off", rows,
        f"{identities} rendered people that no training used × {frames} independent states, self-driven; measures as "
        "in `evaluate reenact`. Parts are switched off at inference only; the rest was trained with the missing part.",
        {"size": size, "frames": identities * frames}, weights=subject.weights,
    )  # fmt: skip
