# Base models: trained here, or official checkpoints. What each needs is in src/uscl_med3d/core/foundations.py.


rule foundation:
    input:
        params=PLAN.job_file("foundation_{model}"),
        code=lambda wildcards: list_sources(f"uscl_med3d.foundation.{wildcards.model}"),
        general=lambda wildcards: PLAN.foundation_inputs(wildcards.model),
        teacher=lambda wildcards: PLAN.teacher(wildcards.model),
        official=lambda wildcards: PLAN.official_checkpoint(wildcards.model),
    output:
        weights=f"{RESULTS}/checkpoints/foundation/{{model}}.safetensors",
        curve=f"{RESULTS}/curves/foundation/{{model}}.csv",
        receipt=f"{RESULTS}/receipts/foundation/{{model}}.json",
    log:
        f"{RESULTS}/logs/foundation/{{model}}.log",
    priority: 10
    resources:
        gpu=PLAN.gpus,
    params:
        general=lambda wildcards: PLAN.foundation_general(wildcards.model),
    message:
        "foundation: {wildcards.model}"
    shell:
        "uscl-med3d foundation --model {wildcards.model} --params {input.params} --receipt {output.receipt}"
        " --general {params.general:q}"
        " --teacher {input.teacher} --weights {output.weights} --curve {output.curve} > {log} 2>&1"


rule foundation_all:
    input:
        expand(rules.foundation.output.weights, model=PLAN.foundations),
