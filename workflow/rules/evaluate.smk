# Scores per case, class, click and seed, before any averaging; and the gate.


rule evaluate:
    input:
        params=PLAN.job_file("evaluate", "{run}"),
        code=lambda wildcards: PLAN.code("uscl_med3d.evaluate.score", wildcards.run),
        volumes=rules.ingest.output.volumes,
        splits=rules.ingest.output.splits,
        pseudolabels=rules.pseudolabel.output.labels,
        general=lambda wildcards: PLAN.scored_inputs(wildcards.run),
        base=lambda wildcards: PLAN.base_weights(wildcards.run),
        checkpoint=lambda wildcards: PLAN.weights(wildcards.run),
        start=lambda wildcards: PLAN.start_weights(wildcards.run),
    output:
        scores=f"{RESULTS}/scores/{{run}}.parquet",
        image_use=f"{RESULTS}/image_use/{{run}}.parquet",
        predictions=directory(f"{RESULTS}/predictions/{{run}}"),
        receipt=f"{RESULTS}/receipts/evaluate/{{run}}.json",
    log:
        f"{RESULTS}/logs/evaluate/{{run}}.log",
    resources:
        gpu=PLAN.gpus,
    params:
        general=lambda wildcards: PLAN.scored_general(wildcards.run),
    message:
        "evaluate: {wildcards.run}"
    shell:
        run_stage(
            "evaluate",
            "--volumes {input.volumes} --splits {input.splits} --pseudolabels {input.pseudolabels}"
            " --general {params.general:q} --base {input.base} --checkpoint {input.checkpoint}"
            " --start {input.start} --scores {output.scores} --image-use {output.image_use}"
            " --predictions {output.predictions}",
        )


rule gate:
    input:
        params=PLAN.job_file("gate"),
        code=list_sources("uscl_med3d.evaluate.gate"),
        scores=expand(rules.evaluate.output.scores, run=PLAN.judged),
        image_use=expand(rules.evaluate.output.image_use, run=PLAN.judged),
    output:
        result=f"{RESULTS}/gate.json",
        receipt=f"{RESULTS}/receipts/evaluate/gate-check.json",
    log:
        f"{RESULTS}/logs/gate.log",
    message:
        "evaluate: gate"
    shell:
        run_stage(
            "gate",
            "--scores {input.scores} --image-use {input.image_use} --result {output.result}",
        )


# What a method costs at inference. With `measure.alone` a job takes all cores, so that nothing else runs beside it.
rule measure:
    input:
        params=PLAN.job_file("measure", "{run}"),
        code=lambda wildcards: PLAN.code("uscl_med3d.evaluate.cost", wildcards.run),
        volumes=rules.ingest.output.volumes,
        splits=rules.ingest.output.splits,
        base=lambda wildcards: PLAN.base_weights(wildcards.run),
        checkpoint=lambda wildcards: PLAN.weights(wildcards.run),
        start=lambda wildcards: PLAN.start_weights(wildcards.run),
    output:
        cost=f"{RESULTS}/benchmarks/inference/{{run}}.json",
        receipt=f"{RESULTS}/receipts/measure/{{run}}.json",
    log:
        f"{RESULTS}/logs/measure/{{run}}.log",
    priority: -1
    threads: workflow.cores if PLAN.params.measure.alone else 1
    resources:
        gpu=PLAN.gpus,
    message:
        "evaluate: cost of {wildcards.run}"
    shell:
        run_stage(
            "measure",
            "--volumes {input.volumes} --splits {input.splits} --base {input.base}"
            " --checkpoint {input.checkpoint} --start {input.start} --cost {output.cost}",
        )


rule evaluate_all:
    input:
        expand(rules.evaluate.output.scores, run=PLAN.runs),
        expand(rules.measure.output.cost, run=PLAN.measured),
        rules.gate.output.result,
