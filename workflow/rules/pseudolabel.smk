# SegGPT propagates the key-frame masks through each sweep.


rule pseudolabel:
    input:
        params=PLAN.job_file("pseudolabel"),
        code=list_sources("uscl_med3d.pseudolabel.propagate"),
        volumes=rules.ingest.output.volumes,
        splits=rules.ingest.output.splits,
        seggpt=PLAN.foundation_weights("seggpt"),
    output:
        labels=directory(f"{RESULTS}/pseudolabels"),
        receipt=f"{RESULTS}/receipts/pseudolabel/pseudolabel.json",
    log:
        f"{RESULTS}/logs/pseudolabel.log",
    priority: 5
    resources:
        gpu=PLAN.gpus,
    params:
        store=f"{RESULTS}/.store/pseudolabel",
    message:
        "pseudolabel: SegGPT propagates the key-frame masks"
    shell:
        run_stage(
            "pseudolabel",
            "--volumes {input.volumes} --splits {input.splits} --seggpt {input.seggpt}"
            " --out {output.labels} --store {params.store}",
        )
