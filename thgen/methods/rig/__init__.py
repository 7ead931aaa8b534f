"""Rig, our supervised reference. Its networks train in `analyser/stage.py`, `compact/generator_stage.py` and here."""
