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


