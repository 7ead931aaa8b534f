"""The file of usual motion is written without pickle and reads back."""

import numpy as np

from thgen.synth.usual_motion import usual_motion, write


def test_what_is_written_reads_back_and_is_the_same_each_time(tmp_path):
    write(tmp_path / "usual.npy")
    assert np.array_equal(np.load(tmp_path / "usual.npy", allow_pickle=False), usual_motion())
