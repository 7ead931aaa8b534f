"""What each part of Rig's generator gives: the same people, driven the same way, with one part switched off at a time.

Only inference is ablated: the rest of the network was trained beside the part that is missing.
"""

from __future__ import annotations

import argparse
import copy
from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace

import torch

from thgen.compact.flow.network import GuidedFlow
from thgen.evaluation.report import Report, Value
from thgen.evaluation.reports import reenact as rig_report
from thgen.evaluation.scenes.held_out import held_out
from thgen.face.look import Looker
from thgen.methods.rig.method import Rig
from thgen.synth.head.facekit import HeadMesh

SURE = 100.0  # a logit beyond doubt
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


# what is missing -> how to switch it off in a copy of the network
PARTS: dict[str, Callable[[GuidedFlow], None]] = {
    "everything in place": _nothing,
    "without the keypoints' flow": _no_keypoints,
    "without the network's correction": _no_correction,
    "without paint": _no_paint,
    "paint alone": _only_paint,
}
NO_SCENE = "without the photo's segments"  # the network alone says where head and hair are


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--identities", type=int, default=20, help="unseen people to render (default: 20)")
    parser.add_argument("--frames", type=int, default=4, help="driven frames of each (default: 4)")
    parser.add_argument("--size", type=int, default=256, help="px of the crops (default: 256)")


def run(args: argparse.Namespace) -> Report:
    """Raises AssetError, WeightsError."""
    rig = Rig.load(torch.device("cpu"))
    return measure(rig, Looker(rig.guide.analyser, torch.device("cpu")), args.identities, args.frames, args.size)


@torch.no_grad()
def variants(rig: Rig) -> dict[str, Rig]:
    """One Rig per row of PARTS; they share analyser and audio encoder."""
    out = {}
    for name, switch_off in PARTS.items():
        net = copy.deepcopy(rig.guide.generator)
        switch_off(net)
        out[name] = Rig(rig.guide.analyser, rig.audio, net, rig.device)
    return out


def measure(rig: Rig, looker: Looker, identities: int, frames: int, size: int, mesh: HeadMesh | None = None) -> Report:
    """Each person's own frames drive, absolutely, as in `evaluate rig`."""
    scores: dict[str, dict[str, list[float]]] = {name: defaultdict(list) for name in (*PARTS, NO_SCENE)}
    ablated = variants(rig)
    for person in held_out(identities, frames, size, rig_report.FLOW_SIZE, drivers=False, mesh=mesh):
        identity = rig.encode_photo(person.clip.frames[0])
        target = rig_report.self_target(identity.own, rig_report.single_frames(rig, person.clip.frames))
        photo = identity.state["photo"]
        photos = {name: (method, method.guide.settled(photo)) for name, method in ablated.items()}
        photos[NO_SCENE] = rig, replace(photo, scene=None)
        tried = [(n, m, replace(identity, state={**identity.state, "photo": p})) for n, (m, p) in photos.items()]
        for name, method, seen in tried:
            images, flow = rig_report.decode(method, seen, target, rig_report.FLOW_SIZE)
            rig_report.score(scores[name], images, flow, person, looker)
    rows: list[dict[str, Value]] = []
    for name, values in scores.items():
        means: dict[str, Value] = {k: rig_report.mean(v) for k, v in values.items()}
        rows.append({"": name, **means})
    return Report(
        "ablation", "Rig with one part switched off", rows,
        f"{identities} rendered people that no training saw × {frames} independent states, self-driven; measures as in "
        "`evaluate rig`. Only inference is ablated: the rest was trained beside the part that is missing.",
        {"size": size, "frames": identities * frames},
    )  # fmt: skip
