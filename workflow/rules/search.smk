# Training values chosen on validation patients: one fine-tune per candidate. A target of its own, because it is done once, before
# the tables:  snakemake --cores all search
SEARCH = f"{RESULTS}/search"


wildcard_constraints:
    candidate="[a-z0-9_]+-[0-9]+",


rule search_finetune:
    input:
        params=PLAN.job_file("search", "{candidate}"),
        code=lambda wildcards: PLAN.code(
            "uscl_med3d.train.finetune", PLAN.candidate_run(wildcards.candidate)
        ),
        volumes=rules.ingest.output.volumes,
        splits=rules.ingest.output.splits,
        pseudolabels=rules.pseudolabel.output.labels,
        base=lambda wildcards: PLAN.base_weights(
            PLAN.candidate_run(wildcards.candidate)
        ),
    output:
        weights=temp(f"{SEARCH}/{{candidate}}.safetensors"),
        curve=f"{SEARCH}/{{candidate}}.csv",
        info=f"{SEARCH}/{{candidate}}.json",
        cost=f"{SEARCH}/{{candidate}}.cost.json",
        receipt=f"{RESULTS}/receipts/search/{{candidate}}.json",
    log:
        f"{RESULTS}/logs/search/{{candidate}}.log",
    resources:
        gpu=PLAN.gpus,
    message:
        "search: {wildcards.candidate}"
    shell:
        run_stage(
            "finetune",
            "--volumes {input.volumes} --splits {input.splits} --pseudolabels {input.pseudolabels}"
            " --base {input.base} --weights {output.weights} --curve {output.curve}"
            " --info {output.info} --cost {output.cost}",
        )


rule search:
    input:
        params=PLAN.job_file("search"),
        code=list_sources("uscl_med3d.report.search"),
        curves=expand(rules.search_finetune.output.curve, candidate=PLAN.candidates),
    output:
        csv=f"{SEARCH}/search.csv",
        md=f"{SEARCH}/search.md",
        tex=f"{SEARCH}/search.tex",
        receipt=f"{RESULTS}/receipts/search/search.json",
    log:
        f"{RESULTS}/logs/search/search.log",
    message:
        "search: table"
    shell:
        run_stage(
            "search",
            "--curves {input.curves} --out {output.csv}",
        )
