"""What loggers say reaches stderr when someone asks for it, once, and only then."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest

from thgen import logs
from thgen.__main__ import COMMANDS, main
from thgen.errors import ControlError

ROOT = Path(__file__).parents[1]
LIST = ["weights", "list", "audio"]


@pytest.fixture(autouse=True)
def no_level_from_outside(monkeypatch):
    monkeypatch.delenv(logs.VARIABLE, raising=False)


@pytest.mark.parametrize("words", [["--verbose", *LIST], [*LIST, "--verbose"], ["weights", "--verbose", *LIST[1:]]])
def test_the_flag_shows_a_line_before_the_command_and_after_it(words, capsys):
    assert main(words) == 0
    told = capsys.readouterr()
    assert "INFO thgen: weights took" in told.err and "took" not in told.out
    assert told.out.startswith("audio (")


def test_without_the_flag_there_is_nothing(capsys):
    assert main(LIST) == 0
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_the_flag_in_its_help(name, capsys):
    with pytest.raises(SystemExit):
        main([name, "--help"])
    assert "--verbose" in capsys.readouterr().out


def test_words_after_two_hyphens_are_values(capsys):
    assert main(["weights", "list", "--", "--verbose"]) == 2
    assert capsys.readouterr().err.startswith("thgen: There are no weights --verbose;")


def test_the_variable_sets_the_level_of_a_process():
    """From the outside: one line of log, and not two, whatever else was imported."""

    def said(**environment: str) -> str:
        command, own = [sys.executable, "-m", "thgen", *LIST], {**os.environ, **environment}
        return subprocess.run(command, cwd=ROOT, env=own, capture_output=True, text=True, check=True).stderr

    assert said(THGEN_LOG="info").count(" took ") == 1 and said() == ""


def test_an_unknown_level_is_refused_by_name(monkeypatch, capsys):
    assert logs.level_of({}) == logging.WARNING and logs.level_of({"THGEN_LOG": "Debug"}) == logging.DEBUG
    with pytest.raises(ControlError, match="debug, info, warning, error, not 'loud'"):
        logs.level_of({"THGEN_LOG": "loud"})
    monkeypatch.setenv(logs.VARIABLE, "loud")
    assert main(LIST) == 2 and capsys.readouterr().err.startswith("thgen: THGEN_LOG must be one of")


def test_a_module_is_heard_under_its_name_and_all_is_as_before_at_the_end(capsys):
    logger, parent = logging.getLogger("thgen.training.priors"), logging.getLogger("thgen")
    before = parent.level, list(parent.handlers)
    with logs.showing(logging.INFO):
        logger.info("Losses look through %r.", "vgg19")
    logger.info("later")
    told = capsys.readouterr().err
    assert told.endswith("INFO thgen.training.priors: Losses look through 'vgg19'.\n") and told.count("\n") == 1
    assert (parent.level, parent.handlers) == before


def test_warnings_are_shown_by_default_and_other_packages_are_not(capsys):
    with logs.showing(logs.level_of({})):
        logging.getLogger("thgen.training.priors").warning("The prior is off.")
        logging.getLogger("thgen.training.priors").info("quiet")
        logging.getLogger("somebody.else").warning("not ours")
    assert capsys.readouterr().err.splitlines()[0].endswith("WARNING thgen.training.priors: The prior is off.")


@pytest.mark.weights
def test_it_is_said_which_weights_were_loaded_and_from_where(capsys):
    from thgen.weights.hub import load_network
    from thgen.weights.manifest import BUNDLED

    with logs.showing(logging.INFO):
        load_network("audio")
    assert f"INFO thgen.weights.hub: weights audio: {BUNDLED / 'audio'}" in (told := capsys.readouterr().err)
    assert "on cpu" in told


def test_the_app_switches_it_on_before_it_loads_anything():
    lines = (ROOT / "app.py").read_text(encoding="utf-8").splitlines()
    assert lines.index("logs.show(logs.level_of())") < next(i for i, line in enumerate(lines) if "Engine(" in line)
