from __future__ import annotations

import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from uscl_med3d import cli

RULES = Path(__file__).parents[3] / "workflow/rules"


def test_bad_input_is_one_message_and_exit_status_two(tmp_path, capsys):
    (tmp_path / "job.json").write_text("{}")
    assert cli.main(["check", "--params", str(tmp_path / "job.json")]) == 2
    message = capsys.readouterr().err
    assert message.startswith("error: ") and "job.json" in message and "remedy" in message
    assert "Traceback" not in message


def test_missing_job_file_is_named(tmp_path, capsys):
    assert cli.main(["check", "--params", str(tmp_path / "nowhere.json")]) == 2
    assert "nowhere.json" in capsys.readouterr().err


@pytest.mark.parametrize(
    "verb", ["simulate_cohort", "ingest", "pseudolabel", "pretrain", "finetune", "evaluate", "figure"]
)
def test_every_stage_explains_itself(verb, capsys):
    assert cli.main([verb, "--help"]) == 0
    assert "--params" in capsys.readouterr().out


def test_every_verb_of_the_rules_is_there_with_its_options(capsys):
    """Snakemake's lines and the command line's options have the same names."""
    text = "".join(path.read_text() for path in sorted(RULES.glob("*.smk")))
    stages = re.findall(r'run_stage\(\s*"(\w+)",((?:\s*"[^"]*")+)', text)
    others = re.findall(r'"uscl-med3d (\w+)((?:[^{]|{(?!log}))*)', text)
    assert len(stages) > 25 and len(others) > 3
    for verb, rest in stages + others:
        assert cli.main([verb, "--help"]) == 0
        shown = set(re.findall(r"--[\w-]+", capsys.readouterr().out))
        assert set(re.findall(r"--[a-z][\w-]*", rest)) <= shown, verb


def test_verbs_for_users_come_first(capsys):
    assert cli.main(["--help"]) == 0
    shown = capsys.readouterr().out
    assert shown.index("segment") < shown.index("audit-phi") < shown.index("simulate_cohort")


def test_a_mistyped_verb_or_option_is_answered_with_the_right_one(capsys):
    assert cli.main(["segmnt"]) == 2
    assert "segment" in capsys.readouterr().err
    assert cli.main(["audit", "--scael", "smoke"]) == 2
    assert "--scale" in capsys.readouterr().err


def test_version_names_commit_and_torch_without_loading_torch():
    code = "import sys; from uscl_med3d import cli; cli.main(['--version']); print('torch' in sys.modules)"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout
    version, loaded = out.splitlines()
    assert re.fullmatch(r"uscl-med3d \d+\.\d+\.\d+\S*, .*commit.*, torch \d+\.\d+\.\S+", version)
    assert loaded == "False"


def test_help_is_there_at_once():
    """Processor time, so that other work on the machine does not count; the limit is three times what it takes."""
    code = "import resource as r; from uscl_med3d import cli; cli.main(['--help']); print(r.getrusage(r.RUSAGE_SELF)[:2])"
    start = time.perf_counter()
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout
    user, system = map(float, re.findall(r"[\d.]+", out.splitlines()[-1]))
    assert user + system < 1.0 and time.perf_counter() - start < 10
