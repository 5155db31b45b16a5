# Pretext tasks on the encoder's LoRA layers: once per task, rank and training seed, shared by every run of these.


# What fine-tunes wait for comes before them, and these, which take longest, before scores: no core waits at the end.
rule pretrain:
    input:
        params=lambda wildcards: PLAN.pretrain_file(wildcards.pretraining),
        code=lambda wildcards: PLAN.pretrain_code(wildcards.pretraining),
        volumes=rules.ingest.output.volumes,
        splits=rules.ingest.output.splits,
        base=PLAN.foundation_weights("sam_med3d"),
    output:
        weights=f"{RESULTS}/checkpoints/pretrain/{{pretraining}}.safetensors",
        curve=f"{RESULTS}/curves/pretrain/{{pretraining}}.csv",
        receipt=f"{RESULTS}/receipts/pretrain/{{pretraining}}.json",
    log:
        f"{RESULTS}/logs/pretrain/{{pretraining}}.log",
    priority: 4
    resources:
        gpu=PLAN.gpus,
    params:
        run=lambda wildcards: PLAN.pretrainings[wildcards.pretraining],
    message:
        "pretrain: {wildcards.pretraining}"
    shell:
        run_stage(
            "pretrain",
            "--rank {params.run.rank} --training-seed {params.run.training_seed}"
            " --volumes {input.volumes} --splits {input.splits} --base {input.base}"
            " --weights {output.weights} --curve {output.curve}",
        )


rule pretrain_all:
    input:
        expand(rules.pretrain.output.weights, pretraining=PLAN.pretrainings),
