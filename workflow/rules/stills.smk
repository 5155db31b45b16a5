# Methods on single images with masks: cross-validation over groups. A target of its own:
#   snakemake --cores all usgra --configfile workflow/scales/usgra.yaml
STILLS = f"{RESULTS}/stills"


wildcard_constraints:
    still="[a-z0-9_]+",
    fold="[0-9]+",


rule still_fold:
    input:
        params=PLAN.job_file("stills"),
        code=lambda wildcards: PLAN.stills.code(wildcards.still),
        images=PLAN.stills.files,
        base=lambda wildcards: PLAN.stills.base(wildcards.still),
    output:
        scores=f"{STILLS}/{{still}}-{{fold}}.csv",
        curve=f"{STILLS}/curves/{{still}}-{{fold}}.csv",
    log:
        f"{RESULTS}/logs/stills/{{still}}-{{fold}}.log",
    resources:
        gpu=PLAN.gpus,
    params:
        folder=PLAN.params.stills.folder,
    message:
        "stills: {wildcards.still}, fold {wildcards.fold}"
    shell:
        "uscl-med3d still_fold --params {input.params} --name {wildcards.still} --fold {wildcards.fold}"
        " --images {params.folder:q} --base {input.base} --scores {output.scores} --curve {output.curve}"
        " > {log} 2>&1"


rule still_weights:
    input:
        params=PLAN.job_file("stills"),
        code=lambda wildcards: PLAN.stills.code(wildcards.still),
        images=PLAN.stills.files,
        base=lambda wildcards: PLAN.stills.base(wildcards.still),
    output:
        weights=f"{RESULTS}/checkpoints/stills/{{still}}.safetensors",
        curve=f"{STILLS}/curves/{{still}}-all.csv",
    log:
        f"{RESULTS}/logs/stills/{{still}}-all.log",
    resources:
        gpu=PLAN.gpus,
    params:
        folder=PLAN.params.stills.folder,
    message:
        "stills: {wildcards.still}, all images"
    shell:
        "uscl-med3d still_weights --params {input.params} --name {wildcards.still} --images {params.folder:q}"
        " --base {input.base} --weights {output.weights} --curve {output.curve} > {log} 2>&1"


rule still_table:
    input:
        params=PLAN.job_file("stills"),
        code=list_sources("uscl_med3d.stills.table"),
        scores=expand(
            rules.still_fold.output.scores,
            still=PLAN.params.stills.methods,
            fold=range(PLAN.params.stills.folds),
        ),
    output:
        table=f"{RESULTS}/tables/stills.csv",
        scores=f"{RESULTS}/stills.csv",
    log:
        f"{RESULTS}/logs/stills/table.log",
    message:
        "stills: table"
    shell:
        "uscl-med3d still_table --params {input.params} --scores {input.scores} --table {output.table}"
        " --all-scores {output.scores} > {log} 2>&1"


rule usgra:
    input:
        weights=expand(
            rules.still_weights.output.weights, still=PLAN.params.stills.kept
        ),
        params=PLAN.job_file("stills"),
        code=list_sources("uscl_med3d.target_pages"),
        table=rules.still_table.output.table,
        curves=expand(
            rules.still_fold.output.curve,
            still=PLAN.params.stills.methods,
            fold=range(PLAN.params.stills.folds),
        ),
    output:
        # Not beside the table: a scale that has run as a whole has its own page there.
        page=f"{STILLS}/report.html",
    log:
        f"{RESULTS}/logs/stills/page.log",
    message:
        "stills: page"
    shell:
        "uscl-med3d target_page --params {input.params} --target usgra --tables {input.table}"
        " --curves {input.curves} --out {output.page} > {log} 2>&1"
