"""Random access to clips: names of emotions."""

from dataclasses import replace

from thgen.cli.render import RenderJob, render_shard
from thgen.schema import EMOTIONS
from thgen.training.data.store import ClipStore


def test_clips_that_speak_name_their_emotions_and_others_none(tmp_path, shards):
    job = RenderJob(str(tmp_path), 1, 2, frames=5, size=64, flow_size=32, motion="track", head="ellipsoid")
    render_shard(job, 0)
    store = ClipStore(tmp_path)
    names = [store.emotions(number) for number in range(2)]
    assert all(len(found) == 1 and found[0] in EMOTIONS for found in names)
    assert ClipStore(shards).emotions(0) == ()
    store.clips[0] = replace(store.clips[0], about=None)
    assert store.emotions(0) == () and store.emotions(1) == names[1]
