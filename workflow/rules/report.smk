# Tables, figures, claims and the report: from per-case scores, without torch.


rule tables:
    message:
        "report: tables"
    input:
        params=PLAN.job_file("report"),
        code=list_sources("uscl_med3d.report.tables"),
        scores=expand(rules.evaluate.output.scores, run=PLAN.runs),
    output:
        expand(f"{RESULTS}/tables/{{table}}.{{suffix}}", table=TABLES, suffix=["csv", "md", "tex"]),
    params:
        out=f"{RESULTS}/tables",
    log:
        f"{RESULTS}/logs/tables.log",
    shell:
        "uscl-med3d tables --params {input.params} --scores {input.scores} --out {params.out} > {log} 2>&1"


rule training_cost:
    message:
        "report: training cost"
    input:
        params=PLAN.job_file("report"),
        code=list_sources("uscl_med3d.report.tables.cost"),
        info=expand(rules.finetune.output.info, run=PLAN.trained),
        cost=expand(rules.finetune.output.cost, run=PLAN.trained),
    output:
        expand(f"{RESULTS}/tables/training_cost.{{suffix}}", suffix=["csv", "md", "tex"]),
    params:
        out=f"{RESULTS}/tables",
    log:
        f"{RESULTS}/logs/training_cost.log",
    shell:
        "uscl-med3d training_cost --params {input.params} --info {input.info} --cost {input.cost}"
        " --out {params.out} > {log} 2>&1"


rule figure:
    message:
        "report: {wildcards.figure}"
    input:
        params=PLAN.job_file("report"),
        code=list_sources("uscl_med3d.report.figures"),
        volumes=rules.ingest.output.volumes,
        splits=rules.ingest.output.splits,
        pseudolabels=rules.pseudolabel.output.labels,
        scores=rules.tables.input.scores,
        curves=PLAN.curves,
        predictions=expand(rules.evaluate.output.predictions, run=PLAN.main_runs.values()),
    output:
        png=f"{RESULTS}/figures/{{figure}}.png",
        pdf=f"{RESULTS}/figures/{{figure}}.pdf",
    params:
        out=f"{RESULTS}/figures",
    log:
        f"{RESULTS}/logs/figures/{{figure}}.log",
    shell:
        "uscl-med3d figure --params {input.params} --name {wildcards.figure} --volumes {input.volumes}"
        " --splits {input.splits} --pseudolabels {input.pseudolabels} --scores {input.scores}"
        " --curves {input.curves} --predictions {input.predictions} --out {params.out} > {log} 2>&1"


rule claims:
    message:
        "report: claims"
    input:
        params=PLAN.job_file("report"),
        code=list_sources("uscl_med3d.report.claims"),
        cost=rules.training_cost.output,
        scores=rules.tables.input.scores,
        pseudolabels=rules.pseudolabel.output.labels,
    output:
        csv=f"{RESULTS}/claims.csv",
        md=f"{RESULTS}/claims.md",
    params:
        tables=f"{RESULTS}/tables",
    log:
        f"{RESULTS}/logs/claims.log",
    shell:
        "uscl-med3d claims --params {input.params} --tables {params.tables} --scores {input.scores}"
        " --pseudolabels {input.pseudolabels} --out {output.csv} > {log} 2>&1"


rule html:
    message:
        "report: page"
    input:
        params=PLAN.job_file("report"),
        code=list_sources("uscl_med3d.report.html"),
        tables=rules.tables.output,
        cost=rules.training_cost.output,
        figures=expand(rules.figure.output.png, figure=FIGURES),
        claims=rules.claims.output.csv,
        pseudolabels=rules.pseudolabel.output.labels,
        gate=rules.gate.output.result,
        splits=rules.ingest.output.splits,
    output:
        page=f"{RESULTS}/report.html",
    params:
        tables=f"{RESULTS}/tables",
        figures=f"{RESULTS}/figures",
        jobs=f"{RESULTS}/params",
    log:
        f"{RESULTS}/logs/html.log",
    shell:
        "uscl-med3d html --params {input.params} --tables {params.tables} --figures {params.figures}"
        " --claims {input.claims} --pseudolabels {input.pseudolabels} --gate {input.gate} --splits {input.splits}"
        " --jobs {params.jobs} --out {output.page} > {log} 2>&1"


rule report_all:
    input:
        rules.tables.output,
        rules.training_cost.output,
        rules.claims.output,
        rules.html.output.page,
