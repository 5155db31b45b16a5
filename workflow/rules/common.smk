# Paths shared by all rules. The lists are made in src/uscl_med3d/core/plan.py; rules only name them.
import sys
from os.path import dirname
from pathlib import Path

from uscl_med3d.core.closure import list_sources
from uscl_med3d.core.dry_run import is_dry, leave_as_found
from uscl_med3d.core.errors import InputError
from uscl_med3d.core.params.files import replace_whole
from uscl_med3d.core.plan import Plan
from uscl_med3d.core.pretrained import check_pretrained
from uscl_med3d.core.reporting import SAMUS_TABLES
from uscl_med3d.core.watchdog import announce, drop_dead_lock, hold_lock
from uscl_med3d.provenance.audit import list_planned

replace_whole(config, workflow.overwrite_configfiles)
try:
    PLAN = Plan(config)
    check_pretrained(PLAN)
except InputError as error:
    raise WorkflowError(str(error)) from None
if is_dry(sys.argv[1:]):
    # A run's own check names everything that is missing; a plan made without the table would be another cohort's.
    if not PLAN.simulated and not Path(PLAN.cohort_csv).is_file():
        missing = InputError(
            file=PLAN.cohort_csv,
            found="no such file",
            expected="the table of a cohort",
            remedy="write it (docs/own_cohort.md, docs/public_sets.md), or name another in `cohort`",
        )
        raise WorkflowError(str(missing))
    leave_as_found(
        [Path(PLAN.results, part) for part in ("params", "inputs", ".store/hashes")]
    )
PLAN.write_job_files()
PLAN.write_listings()
announce()
drop_dead_lock()
RESULTS = PLAN.results


def run_stage(verb, options):
    """Shell line of a stage: its job file, its receipt and its log are the same for all."""
    return f"uscl-med3d {verb} --params {{input.params}} --receipt {{output.receipt}} {options} > {{log}} 2>&1"


wildcard_constraints:
    run="[a-z0-9_]+",
    pretraining="[a-z0-9_]+_r[0-9]+(_s[0-9]+)?",
    model="[a-z0-9_]+",
    figure="[a-z0-9_]+",
