# VCL on the encoder's LoRA layers: once per rank, shared by every run of that rank.


rule pretrain:
    input:
        params=PLAN.job_file("pretrain"),
        code=list_sources("uscl_med3d.train.pretrain"),
        volumes=rules.ingest.output.volumes,
        splits=rules.ingest.output.splits,
        base=PLAN.foundation_weights("sam_med3d"),
    output:
        weights=f"{RESULTS}/checkpoints/pretrain/r{{rank}}.safetensors",
        curve=f"{RESULTS}/curves/pretrain/r{{rank}}.csv",
        receipt=f"{RESULTS}/receipts/pretrain/r{{rank}}.json",
    log:
        f"{RESULTS}/logs/pretrain/r{{rank}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/pretrain/r{{rank}}.tsv"
    resources:
        gpu=PLAN.gpus,
    message:
        "pretrain: VCL at rank {wildcards.rank}"
    shell:
        "uscl-med3d pretrain --params {input.params} --receipt {output.receipt}"
        " --rank {wildcards.rank} --volumes {input.volumes}"
        " --splits {input.splits} --base {input.base} --weights {output.weights} --curve {output.curve} > {log} 2>&1"


rule pretrain_all:
    input:
        expand(rules.pretrain.output.weights, rank=PLAN.ranks),
