# What unlabelled sweeps teach: pretext tasks compared (docs/ssl.md). A target of its own:  snakemake --cores all ssl
SSL = PLAN.ssl.folder


wildcard_constraints:
    start="[a-z0-9_]+",
    cell="[a-z0-9_]+",
    arm="[a-z0-9_]+",


# Table 8: a pretext task teaches the adapters of SAM-Med3D's encoder ...
rule ssl_pretrain:
    input:
        params=lambda wildcards: PLAN.job_file(
            "ssl_pretrain", PLAN.ssl.starts[wildcards.start].pretraining
        ),
        code=lambda wildcards: PLAN.ssl.pretrain_code(wildcards.start),
        volumes=rules.ingest.output.volumes,
        splits=rules.ingest.output.splits,
        base=PLAN.foundation_weights("sam_med3d"),
    output:
        weights=f"{SSL}/checkpoints/{{start}}.safetensors",
        curve=f"{SSL}/curves/pretrain/{{start}}.csv",
        receipt=f"{SSL}/receipts/pretrain/{{start}}.json",
    log:
        f"{RESULTS}/logs/ssl/pretrain/{{start}}.log",
    resources:
        gpu=PLAN.gpus,
    params:
        run=lambda wildcards: PLAN.ssl.starts[wildcards.start],
    message:
        "ssl: pretrain {wildcards.start}"
    shell:
        run_stage(
            "pretrain",
            "--rank {params.run.rank} --training-seed {params.run.training_seed}"
            " --volumes {input.volumes} --splits {input.splits} --base {input.base}"
            " --weights {output.weights} --curve {output.curve}",
        )


# ... and the usual fine-tune starts from them, with few or all labelled patients.
rule ssl_cell:
    input:
        params=PLAN.job_file("ssl_cell", "{cell}"),
        code=lambda wildcards: PLAN.ssl.cell_code(wildcards.cell),
        volumes=rules.ingest.output.volumes,
        splits=rules.ingest.output.splits,
        pseudolabels=rules.pseudolabel.output.labels,
        base=PLAN.foundation_weights("sam_med3d"),
        start=lambda wildcards: PLAN.ssl.start_weights(wildcards.cell),
    output:
        scores=f"{SSL}/cells/{{cell}}.parquet",
        watch=f"{SSL}/curves/cells/{{cell}}.csv",
        receipt=f"{SSL}/receipts/cells/{{cell}}.json",
    log:
        f"{RESULTS}/logs/ssl/cells/{{cell}}.log",
    resources:
        gpu=PLAN.gpus,
    params:
        labelled=PLAN.ssl.labelled,
    message:
        "ssl: fine-tune from {wildcards.cell}"
    shell:
        run_stage(
            "ssl_cell",
            "--labelled {params.labelled} --volumes {input.volumes} --splits {input.splits}"
            " --pseudolabels {input.pseudolabels} --base {input.base} --start {input.start}"
            " --scores {output.scores} --watch {output.watch}",
        )


# What is known of simulated patients, beside their images.
rule ssl_metadata:
    input:
        params=PLAN.job_file("simulate_cohort"),
        code=list_sources("uscl_med3d.ssl.metadata"),
    output:
        csv=f"{SSL}/patients.csv",
        receipt=f"{SSL}/receipts/metadata.json",
    log:
        f"{RESULTS}/logs/ssl/metadata.log",
    message:
        "ssl: metadata of patients"
    shell:
        run_stage(
            "ssl_metadata",
            "--out {output.csv}",
        )


# Single frames: an encoder from random weights, a pretext task, probes of its frozen features.
rule ssl_frames:
    input:
        params=PLAN.job_file("ssl_frames", "{arm}"),
        code=lambda wildcards: PLAN.ssl.arm_code(wildcards.arm),
        volumes=rules.ingest.output.volumes,
        splits=rules.ingest.output.splits,
        pseudolabels=rules.pseudolabel.output.labels,
        metadata=rules.ssl_metadata.output.csv if PLAN.simulated else [],
    output:
        scores=f"{SSL}/frames/{{arm}}.csv.gz",
        curve=f"{SSL}/curves/frames/{{arm}}.csv",
        receipt=f"{SSL}/receipts/frames/{{arm}}.json",
    log:
        f"{RESULTS}/logs/ssl/frames/{{arm}}.log",
    resources:
        gpu=PLAN.gpus,
    message:
        "ssl: frames, {wildcards.arm}"
    shell:
        run_stage(
            "ssl_frames",
            "--arm {wildcards.arm} --volumes {input.volumes} --splits {input.splits}"
            " --pseudolabels {input.pseudolabels} --metadata {input.metadata} --scores {output.scores}"
            " --curve {output.curve}",
        )


rule ssl_tables:
    input:
        params=PLAN.job_file("ssl"),
        code=list_sources("uscl_med3d.ssl.tables"),
        splits=rules.ingest.output.splits,
        cells=expand(rules.ssl_cell.output.scores, cell=PLAN.ssl.cells),
        watch=expand(rules.ssl_cell.output.watch, cell=PLAN.ssl.cells),
        starts=expand(rules.ssl_pretrain.output.curve, start=PLAN.ssl.starts),
        arms=expand(rules.ssl_frames.output.scores, arm=PLAN.ssl.arms),
        curves=expand(rules.ssl_frames.output.curve, arm=PLAN.ssl.arms),
    output:
        tables=expand(f"{SSL}/{{table}}.csv", table=PLAN.ssl.tables),
        receipt=f"{SSL}/receipts/tables.json",
    log:
        f"{RESULTS}/logs/ssl/tables.log",
    params:
        out=lambda wildcards, output: dirname(output.tables[0]),
    message:
        "ssl: tables and claims"
    shell:
        run_stage(
            "ssl",
            "--splits {input.splits} --cells {input.cells} --watch {input.watch}"
            " --starts {input.starts} --arms {input.arms} --curves {input.curves} --out {params.out}",
        )


rule ssl_figures:
    input:
        params=PLAN.job_file("ssl"),
        code=list_sources("uscl_med3d.ssl.figures"),
        tables=rules.ssl_tables.output.tables,
    output:
        figures=expand(
            f"{SSL}/figures/{{figure}}.{{suffix}}",
            figure=PLAN.ssl.figures,
            suffix=["png", "pdf"],
        ),
        receipt=f"{SSL}/receipts/figures.json",
    log:
        f"{RESULTS}/logs/ssl/figures.log",
    params:
        out=lambda wildcards, output: dirname(output.figures[0]),
    message:
        "ssl: figures"
    shell:
        run_stage(
            "ssl_figures",
            "--tables {input.tables} --out {params.out}",
        )


rule ssl:
    input:
        params=PLAN.job_file("ssl"),
        code=list_sources("uscl_med3d.target_pages"),
        tables=[
            *rules.ssl_tables.output.tables,
            *([rules.ssl_metadata.output.csv] if PLAN.simulated else []),
        ],
        figures=[
            file for file in rules.ssl_figures.output.figures if file.endswith(".png")
        ],
        curves=[
            *expand(rules.ssl_pretrain.output.curve, start=PLAN.ssl.starts),
            *expand(rules.ssl_cell.output.watch, cell=PLAN.ssl.cells),
            *expand(rules.ssl_frames.output.curve, arm=PLAN.ssl.arms),
        ],
        receipts=[
            *expand(rules.ssl_pretrain.output.receipt, start=PLAN.ssl.starts),
            *expand(rules.ssl_cell.output.receipt, cell=PLAN.ssl.cells),
            *expand(rules.ssl_frames.output.receipt, arm=PLAN.ssl.arms),
            *([rules.ssl_metadata.output.receipt] if PLAN.simulated else []),
            rules.ssl_tables.output.receipt,
            rules.ssl_figures.output.receipt,
        ],
    output:
        page=f"{SSL}/report.html",
        receipt=f"{SSL}/receipts/page.json",
    log:
        f"{RESULTS}/logs/ssl/page.log",
    message:
        "ssl: page"
    shell:
        run_stage(
            "target_page",
            "--target ssl --tables {input.tables} --figures {input.figures} --curves {input.curves}"
            " --receipts {input.receipts} --out {output.page}",
        )
