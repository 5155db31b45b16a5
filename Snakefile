# USCL-Med3D: from raw sweep videos to tables and figures.
#
#   snakemake --cores all                                              default scale `phantom` (params.yaml)
#   snakemake --cores all --configfile workflow/scales/smoke.yaml      smallest end-to-end run
#   snakemake --cores all --configfile my_cohort.yaml                  your own sweeps (docs/own_cohort.md)

from pathlib import Path


# The first file, because it has the methods in the order of rows.
configfile: "params/methods.yaml"
configfile: "params.yaml"
configfile: "params/simulate.yaml"
configfile: "params/ssl.yaml"
configfile: "params/stills.yaml"


for recipe in sorted(Path("params/foundation").glob("*.yaml")):

    configfile: str(recipe)


# A cohort of your own gets one adapter, unless your parameters say `benchmark: true`; they win over this file too.
if config["cohort"] != "simulate" and not config["benchmark"]:

    configfile: "params/own_cohort.yaml"


include: "workflow/rules/common.smk"
include: "workflow/rules/simulate.smk"
include: "workflow/rules/ingest.smk"
include: "workflow/rules/foundation.smk"
include: "workflow/rules/pseudolabel.smk"
include: "workflow/rules/pretrain.smk"
include: "workflow/rules/finetune.smk"
include: "workflow/rules/evaluate.smk"
include: "workflow/rules/report.smk"
include: "workflow/rules/annotation.smk"
include: "workflow/rules/search.smk"
include: "workflow/rules/stills.smk"
include: "workflow/rules/samus.smk"
include: "workflow/rules/ssl.smk"


rule all:
    default_target: True
    input:
        rules.complete.output.complete,
        rules.html.output.page,
        rules.tables.output,
        rules.training_cost.output,
        rules.inference_cost.output,
        CLAIMS,
        rules.run_cost.output.csv,
        rules.gate.output,
        expand(rules.figure.output.png, figure=PLAN.figures),


onstart:
    hold_lock()
    shell(f"uscl-med3d check --params {PLAN.job_file('check')}")
