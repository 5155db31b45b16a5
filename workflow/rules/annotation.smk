# The annotation-cost curve: fewer key frames, their pseudo-labels, and the model trained on them. A target of its own,
# because it repeats the costliest stages:  snakemake --cores all annotation
ANNOTATION = f"{RESULTS}/annotation"
RECEIPTS = f"{RESULTS}/receipts/annotation"
KEY_FRAMES = PLAN.params.annotation.key_frames


wildcard_constraints:
    number="[0-9]+",


rule annotation_pseudolabel:
    input:
        params=PLAN.job_file("annotation", "k{number}"),
        code=rules.pseudolabel.input.code,
        volumes=rules.ingest.output.volumes,
        splits=rules.ingest.output.splits,
        seggpt=rules.pseudolabel.input.seggpt,
    output:
        labels=directory(f"{ANNOTATION}/k{{number}}/pseudolabels"),
        receipt=f"{RECEIPTS}/k{{number}}/pseudolabel.json",
    log:
        f"{RESULTS}/logs/annotation/pseudolabel_k{{number}}.log",
    resources:
        gpu=PLAN.gpus,
    message:
        "annotation: pseudo-labels from {wildcards.number} key frames"
    shell:
        run_stage(
            "pseudolabel",
            "--volumes {input.volumes} --splits {input.splits} --seggpt {input.seggpt}"
            " --out {output.labels}",
        )


rule annotation_finetune:
    input:
        params=PLAN.job_file("finetune", PLAN.annotation_run),
        code=PLAN.code("uscl_med3d.train.finetune", PLAN.annotation_run),
        volumes=rules.ingest.output.volumes,
        splits=rules.ingest.output.splits,
        pseudolabels=rules.annotation_pseudolabel.output.labels,
        base=PLAN.base_weights(PLAN.annotation_run),
        start=PLAN.start_weights(PLAN.annotation_run),
    output:
        weights=f"{ANNOTATION}/k{{number}}/weights.safetensors",
        curve=f"{ANNOTATION}/k{{number}}/curve.csv",
        info=f"{ANNOTATION}/k{{number}}/info.json",
        cost=f"{ANNOTATION}/k{{number}}/cost.json",
        receipt=f"{RECEIPTS}/k{{number}}/finetune/{PLAN.annotation_run}.json",
    log:
        f"{RESULTS}/logs/annotation/finetune_k{{number}}.log",
    resources:
        gpu=PLAN.gpus,
    message:
        "annotation: fine-tuning on {wildcards.number} key frames"
    shell:
        run_stage(
            "finetune",
            "--volumes {input.volumes} --splits {input.splits} --pseudolabels {input.pseudolabels}"
            " --base {input.base} --start {input.start} --weights {output.weights}"
            " --curve {output.curve} --info {output.info} --cost {output.cost}",
        )


rule annotation_evaluate:
    input:
        params=PLAN.job_file("evaluate", PLAN.annotation_run),
        code=PLAN.code("uscl_med3d.evaluate.score", PLAN.annotation_run),
        volumes=rules.ingest.output.volumes,
        splits=rules.ingest.output.splits,
        pseudolabels=rules.annotation_pseudolabel.output.labels,
        general=PLAN.scored_inputs(PLAN.annotation_run),
        base=PLAN.base_weights(PLAN.annotation_run),
        checkpoint=rules.annotation_finetune.output.weights,
        start=PLAN.start_weights(PLAN.annotation_run),
    output:
        scores=f"{ANNOTATION}/k{{number}}/scores.parquet",
        image_use=f"{ANNOTATION}/k{{number}}/image_use.parquet",
        predictions=directory(f"{ANNOTATION}/k{{number}}/predictions"),
        receipt=f"{RECEIPTS}/k{{number}}/evaluate/{PLAN.annotation_run}.json",
    log:
        f"{RESULTS}/logs/annotation/evaluate_k{{number}}.log",
    resources:
        gpu=PLAN.gpus,
    params:
        general=lambda wildcards: PLAN.scored_general(PLAN.annotation_run),
    message:
        "annotation: scores of {wildcards.number} key frames"
    shell:
        run_stage(
            "evaluate",
            "--volumes {input.volumes} --splits {input.splits} --pseudolabels {input.pseudolabels}"
            " --general {params.general:q} --base {input.base} --checkpoint {input.checkpoint}"
            " --start {input.start} --scores {output.scores} --image-use {output.image_use}"
            " --predictions {output.predictions}",
        )


rule annotation:
    input:
        params=PLAN.job_file("annotation"),
        code=list_sources("uscl_med3d.report.annotation"),
        scores=expand(rules.annotation_evaluate.output.scores, number=KEY_FRAMES),
        pseudolabels=expand(
            rules.annotation_pseudolabel.output.labels, number=KEY_FRAMES
        ),
    output:
        expand(
            f"{ANNOTATION}/annotation_cost.{{suffix}}",
            suffix=["csv", "md", "tex", "png", "pdf"],
        ),
        receipt=f"{RECEIPTS}/annotation.json",
    log:
        f"{RESULTS}/logs/annotation/annotation.log",
    params:
        out=lambda wildcards, output: dirname(output[0]),
    message:
        "annotation: curve"
    shell:
        run_stage(
            "annotation",
            "--scores {input.scores} --pseudolabels {input.pseudolabels} --out {params.out}",
        )
