# Base models: shipped, trained here, or official checkpoints. Each is declared in src/uscl_med3d/core/params/foundation/.


rule foundation:
    input:
        params=PLAN.job_file("foundation_{model}"),
        code=lambda wildcards: list_sources(f"uscl_med3d.foundation.{wildcards.model}"),
        general=lambda wildcards: PLAN.foundation_inputs(wildcards.model),
        teacher=lambda wildcards: PLAN.teacher(wildcards.model),
        given=lambda wildcards: PLAN.given_weights(wildcards.model),
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
        run_stage(
            "foundation",
            "--model {wildcards.model} --general {params.general:q} --teacher {input.teacher}"
            " --weights {output.weights} --curve {output.curve}",
        )


# Are they those that come with the program? Of the scale `foundation`, which trains all of them anew.
rule foundation_compare:
    input:
        weights=expand(rules.foundation.output.weights, model=PLAN.foundations),
    output:
        f"{RESULTS}/foundation_compare.csv",
    log:
        f"{RESULTS}/logs/foundation_compare.log",
    params:
        scale=PLAN.scale,
    message:
        "foundation_compare"
    shell:
        "uscl-med3d foundation_compare --scale {params.scale} --out {output} 2> {log}"


rule foundation_all:
    input:
        expand(rules.foundation.output.weights, model=PLAN.foundations),
        rules.foundation_compare.output if PLAN.scale == "foundation" else [],
