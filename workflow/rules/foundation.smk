# Base models: trained here, or official checkpoints.


rule foundation_sam_med3d:
    input:
        params=PLAN.job_file("foundation_sam_med3d"),
        code=list_sources("uscl_med3d.foundation.sam_med3d"),
        general=PLAN.general_inputs,
        official=PLAN.official_checkpoint("sam_med3d"),
    output:
        weights=f"{RESULTS}/checkpoints/foundation/sam_med3d.safetensors",
        curve=f"{RESULTS}/curves/foundation/sam_med3d.csv",
    log:
        f"{RESULTS}/logs/foundation_sam_med3d.log",
    benchmark:
        f"{RESULTS}/benchmarks/foundation_sam_med3d.tsv"
    priority: 10
    resources:
        gpu=PLAN.gpus,
    params:
        general=PLAN.general_folders,
    message:
        "foundation: SAM-Med3D"
    shell:
        "uscl-med3d foundation_sam_med3d --params {input.params} --general {params.general}"
        " --weights {output.weights} --curve {output.curve} > {log} 2>&1"


rule foundation_seggpt:
    input:
        params=PLAN.job_file("foundation_seggpt"),
        code=list_sources("uscl_med3d.foundation.seggpt"),
        official=PLAN.official_checkpoint("seggpt"),
    output:
        weights=f"{RESULTS}/checkpoints/foundation/seggpt.safetensors",
        curve=f"{RESULTS}/curves/foundation/seggpt.csv",
    log:
        f"{RESULTS}/logs/foundation_seggpt.log",
    benchmark:
        f"{RESULTS}/benchmarks/foundation_seggpt.tsv"
    priority: 10
    resources:
        gpu=PLAN.gpus,
    message:
        "foundation: SegGPT"
    shell:
        "uscl-med3d foundation_seggpt --params {input.params}"
        " --weights {output.weights} --curve {output.curve} > {log} 2>&1"
