# Every run of the method registry is trained exactly once, however many tables show it.


rule finetune:
    input:
        params=PLAN.job_file("finetune", "{run}"),
        code=lambda wildcards: PLAN.code("uscl_med3d.train.finetune", wildcards.run),
        volumes=rules.ingest.output.volumes,
        splits=rules.ingest.output.splits,
        pseudolabels=rules.pseudolabel.output.labels,
        base=lambda wildcards: PLAN.base_weights(wildcards.run),
        start=lambda wildcards: PLAN.start_weights(wildcards.run),
    output:
        weights=f"{RESULTS}/checkpoints/finetune/{{run}}.safetensors",
        curve=f"{RESULTS}/curves/finetune/{{run}}.csv",
        info=f"{RESULTS}/curves/finetune/{{run}}.json",
        cost=f"{RESULTS}/benchmarks/finetune/{{run}}.cost.json",
        receipt=f"{RESULTS}/receipts/finetune/{{run}}.json",
    log:
        f"{RESULTS}/logs/finetune/{{run}}.log",
    priority: 3
    resources:
        gpu=PLAN.gpus,
    message:
        "finetune: {wildcards.run}"
    shell:
        run_stage(
            "finetune",
            "--volumes {input.volumes} --splits {input.splits} --pseudolabels {input.pseudolabels}"
            " --base {input.base} --start {input.start} --weights {output.weights}"
            " --curve {output.curve} --info {output.info} --cost {output.cost}",
        )


rule finetune_all:
    input:
        expand(rules.finetune.output.weights, run=PLAN.trained),
