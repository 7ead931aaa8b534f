"""What stages share that learn from all labels of rendered clips of a head."""

from __future__ import annotations

from thgen.synth.clip import head_mesh
from thgen.training.clip_task import ClipData
from thgen.training.config import StageConfig
from thgen.training.data.store import ClipStore
from thgen.training.task import Task


class HeadTask(Task):
    """A stage on clips of `data.head`. Subclasses build their networks after `__init__` here."""

    data_type = ClipData
    data: ClipData

    @classmethod
    def check(cls, config: StageConfig) -> None:
        """Raises AssetError where the head is missing."""
        data = cls.data_of(config)
        assert isinstance(data, ClipData)
        head_mesh(data.head)

    def __init__(self, config: StageConfig) -> None:
        self.config, self.data = config, self.data_of(config)
        self.store, self.val_store = ClipStore(self.data.train), ClipStore(self.data.val)
