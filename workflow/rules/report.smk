# Tables, figures, claims and the report: from per-case scores, without torch.


rule image_use_table:
    input:
        params=PLAN.job_file("report"),
        code=list_sources("uscl_med3d.report.image_use"),
        image_use=expand(rules.evaluate.output.image_use, run=PLAN.image_used),
    output:
        csv=f"{RESULTS}/image_use.csv",
        receipt=f"{RESULTS}/receipts/report/image_use.json",
    log:
        f"{RESULTS}/logs/image_use_table.log",
    message:
        "report: image use"
    shell:
        run_stage(
            "image_use_table",
            "--image-use {input.image_use} --out {output.csv}",
        )


rule tables:
    input:
        image_use=rules.image_use_table.output.csv,
        params=PLAN.job_file("report"),
        code=list_sources("uscl_med3d.report.tables", "uscl_med3d.report.metrics"),
        scores=expand(rules.evaluate.output.scores, run=PLAN.runs),
    output:
        tables=expand(
            f"{RESULTS}/tables/{{table}}.{{suffix}}",
            table=PLAN.tables,
            suffix=["csv", "md", "tex"],
        ),
        metrics=f"{RESULTS}/metrics.json",
        receipt=f"{RESULTS}/receipts/report/tables.json",
    log:
        f"{RESULTS}/logs/tables.log",
    params:
        out=lambda wildcards, output: dirname(output[0]),
    message:
        "report: tables"
    shell:
        run_stage(
            "tables",
            "--scores {input.scores} --image-use {input.image_use} --out {params.out}"
            " --metrics {output.metrics}",
        )


rule training_cost:
    input:
        params=PLAN.job_file("report"),
        code=list_sources("uscl_med3d.report.tables.cost"),
        info=expand(rules.finetune.output.info, run=PLAN.trained),
        cost=expand(rules.finetune.output.cost, run=PLAN.trained),
    output:
        expand(
            f"{RESULTS}/tables/training_cost.{{suffix}}", suffix=["csv", "md", "tex"]
        ),
        receipt=f"{RESULTS}/receipts/report/training_cost.json",
    log:
        f"{RESULTS}/logs/training_cost.log",
    params:
        out=lambda wildcards, output: dirname(output[0]),
    message:
        "report: training cost"
    shell:
        run_stage(
            "training_cost",
            "--info {input.info} --cost {input.cost} --out {params.out}",
        )


rule inference_cost:
    input:
        params=PLAN.job_file("report"),
        code=list_sources("uscl_med3d.report.tables.inference_cost"),
        cost=expand(rules.measure.output.cost, run=PLAN.measured),
    output:
        expand(
            f"{RESULTS}/tables/inference_cost.{{suffix}}",
            suffix=["csv", "md", "tex"],
        ),
        receipt=f"{RESULTS}/receipts/report/inference_cost.json",
    log:
        f"{RESULTS}/logs/inference_cost.log",
    params:
        out=lambda wildcards, output: dirname(output[0]),
    message:
        "report: inference cost"
    shell:
        run_stage(
            "inference_cost",
            "--cost {input.cost} --out {params.out}",
        )


# What figures show of volumes, pseudo-labels and predictions; small, and in Git.
rule figure_inputs:
    input:
        params=PLAN.job_file("figure_inputs"),
        code=list_sources(
            "uscl_med3d.report.figure_inputs", *PLAN.volume_figure_modules
        ),
        volumes=rules.ingest.output.volumes,
        splits=rules.ingest.output.splits,
        pseudolabels=rules.pseudolabel.output.labels,
        predictions=expand(rules.evaluate.output.predictions, run=PLAN.shown),
    output:
        folder=directory(f"{RESULTS}/figure_inputs"),
        receipt=f"{RESULTS}/receipts/report/figure_inputs.json",
    log:
        f"{RESULTS}/logs/figure_inputs.log",
    message:
        "report: inputs of figures"
    shell:
        run_stage(
            "figure_inputs",
            "--volumes {input.volumes} --splits {input.splits} --pseudolabels {input.pseudolabels}"
            " --predictions {input.predictions} --out {output.folder}",
        )


rule figure:
    input:
        params=PLAN.job_file("figure", "{figure}"),
        code=lambda wildcards: PLAN.figure_code(wildcards.figure),
        folder=rules.figure_inputs.output.folder,
        splits=rules.ingest.output.splits,
        scores=rules.tables.input.scores,
        curves=PLAN.curves,
        image_use=rules.image_use_table.output.csv,
    output:
        png=f"{RESULTS}/figures/{{figure}}.png",
        pdf=f"{RESULTS}/figures/{{figure}}.pdf",
        receipt=f"{RESULTS}/receipts/report/figures/{{figure}}.json",
    log:
        f"{RESULTS}/logs/figures/{{figure}}.log",
    params:
        out=lambda wildcards, output: dirname(output.png),
    message:
        "report: {wildcards.figure}"
    shell:
        run_stage(
            "figure",
            "--name {wildcards.figure} --inputs {input.folder} --splits {input.splits}"
            " --scores {input.scores} --curves {input.curves} --image-use {input.image_use}"
            " --out {params.out}",
        )


rule claims:
    input:
        params=PLAN.job_file("report"),
        code=list_sources("uscl_med3d.report.claims"),
        scores=rules.tables.input.scores,
        info=rules.training_cost.input.info,
        folder=rules.figure_inputs.output.folder,
        gate=rules.gate.output.result,
    output:
        csv=f"{RESULTS}/claims.csv",
        md=f"{RESULTS}/claims.md",
        receipt=f"{RESULTS}/receipts/report/claims.json",
    log:
        f"{RESULTS}/logs/claims.log",
    message:
        "report: claims"
    shell:
        run_stage(
            "claims",
            "--scores {input.scores} --info {input.info} --pseudolabels {input.folder}/pseudolabels"
            " --gate {input.gate} --out {output.csv}",
        )


# Claims about seconds and memory: measured, so in a file of their own.
rule cost_claims:
    input:
        params=PLAN.job_file("report"),
        code=list_sources("uscl_med3d.report.claims"),
        tables=[rules.training_cost.output[0], rules.inference_cost.output[0]],
    output:
        csv=f"{RESULTS}/cost_claims.csv",
        md=f"{RESULTS}/cost_claims.md",
        receipt=f"{RESULTS}/receipts/report/cost_claims.json",
    log:
        f"{RESULTS}/logs/cost_claims.log",
    message:
        "report: claims about cost"
    shell:
        run_stage(
            "cost_claims",
            "--tables {input.tables} --out {output.csv}",
        )


# An own cohort without the benchmark tests no claims.
CLAIMS = (
    [*rules.claims.output, *rules.cost_claims.output] if PLAN.params.benchmark else []
)
SHEETS = [] if PLAN.simulated else rules.ingest_sheets.output.sheets


rule html:
    input:
        params=PLAN.job_file("report"),
        code=list_sources("uscl_med3d.report.html", *PLAN.figure_modules),
        tables=rules.tables.output.tables,
        figures=expand(rules.figure.output.png, figure=PLAN.figures),
        claims=rules.claims.output.csv if CLAIMS else [],
        sheets=SHEETS,
        folder=rules.figure_inputs.output.folder,
        gate=rules.gate.output.result,
        splits=rules.ingest.output.splits,
        failures=rules.ingest.output.failures,
        info=rules.training_cost.input.info,
        image_use=rules.image_use_table.output.csv,
        receipts=expand(rules.evaluate.output.receipt, run=PLAN.runs),
    output:
        page=f"{RESULTS}/report.html",
        receipt=f"{RESULTS}/receipts/report/html.json",
    log:
        f"{RESULTS}/logs/html.log",
    params:
        figures=lambda wildcards, input: dirname(input.figures[0]),
        jobs=lambda wildcards, input: dirname(input.params),
        receipts=lambda wildcards, input: dirname(input.receipts[0]),
    message:
        "report: page"
    shell:
        run_stage(
            "html",
            "--tables {input.tables} --figures {params.figures} --claims {input.claims}"
            " --sheets {input.sheets} --pseudolabels {input.folder}/pseudolabels --gate {input.gate}"
            " --splits {input.splits} --jobs {params.jobs} --receipts {params.receipts}"
            " --failures {input.failures} --info {input.info} --image-use {input.image_use}"
            " --out {output.page}",
        )


# What every job has cost, as it has measured itself.
rule run_cost:
    input:
        code=list_sources("uscl_med3d.report.run_cost"),
        receipts=[f"{RESULTS}/receipts/{name}.json" for name in list_planned(PLAN)],
    output:
        csv=f"{RESULTS}/benchmarks/run.csv",
    log:
        f"{RESULTS}/logs/run_cost.log",
    priority: -20
    message:
        "report: cost of the run"
    shell:
        "uscl-med3d run_cost --receipts {input.receipts} --out {output.csv} > {log} 2>&1"


# The last job: an error where sweeps were left out, when everything else is made. It is seen in quiet runs, too.
rule complete:
    input:
        params=PLAN.job_file("report"),
        code=list_sources("uscl_med3d.data.failures"),
        failures=rules.ingest.output.failures,
        splits=rules.ingest.output.splits,
        page=rules.html.output.page,
    output:
        complete=f"{RESULTS}/complete.json",
        receipt=f"{RESULTS}/receipts/report/complete.json",
    log:
        f"{RESULTS}/logs/complete.log",
    priority: -10
    message:
        "report: complete"
    shell:
        "uscl-med3d complete --params {input.params} --receipt {output.receipt} --failures {input.failures} --splits {input.splits}"
        " --out {output.complete} 2>&1 | tee {log} >&2"


rule report_all:
    input:
        rules.tables.output,
        rules.image_use_table.output.csv,
        rules.training_cost.output,
        rules.inference_cost.output,
        CLAIMS,
        rules.html.output.page,
        rules.complete.output.complete,
        rules.run_cost.output.csv,
