from __future__ import annotations

import subprocess
import sys

import pytest

from uscl_med3d import cli


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
def test_every_verb_explains_itself(verb, capsys):
    with pytest.raises(SystemExit) as stop:
        cli.main([verb, "--help"])
    assert stop.value.code == 0 and "--params" in capsys.readouterr().out


def test_the_parser_does_not_load_torch():
    code = "import sys; from uscl_med3d import cli; cli.build_parser(); print('torch' in sys.modules)"
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "False"
    )
