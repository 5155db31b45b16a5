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
