import pytest
import torch

from thgen.methods.gc_avt import declaration, latents
from thgen.methods.gc_avt.latents import EXPRESSION, LIP, POSE, Latents

PAPER = Latents(512, 12, 256, 256)


def test_the_code_of_the_paper_has_1036_entries():
    assert PAPER.size == 1036 == latents.IDENTITY_SIZE + sum(latents.SIZES.values())
    assert declaration.SIZES == latents.SIZES, "a declaration imports no torch, so it repeats them"


@pytest.mark.parametrize(("name", "place"), [(POSE, 1), (EXPRESSION, 2), (LIP, 3)])
def test_each_part_starts_where_join_puts_it(name, place):
    parts = [torch.full((2, n), float(i)) for i, n in enumerate((512, 12, 256, 256))]
    code = Latents.join(*parts)
    assert code.shape == (2, 1036)
    start = PAPER.start(name)
    assert (code[:, start - 1] == place - 1).all() and (code[:, start] == place).all()
