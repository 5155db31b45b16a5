# SAMUS's article on simulated single images (docs/samus.md). A target of its own:
#   snakemake --cores all samus
SAMUS = f"{RESULTS}/samus"


rule samus_scans:
    input:
        params=PLAN.job_file("samus_scans"),
        code=list_sources("uscl_med3d.simulate.scans"),
    output:
        out=directory(PLAN.stills.scans),
        receipt=f"{SAMUS}/receipts/scans.json",
    log:
        f"{RESULTS}/logs/samus/simulate.log",
    threads: PLAN.params.samus.scans.workers
    message:
        "samus: simulated single images"
    shell:
        run_stage(
            "samus_scans",
            "--out {output.out}",
        )


rule samus_scores:
    input:
        params=PLAN.job_file("samus"),
        code=lambda wildcards: PLAN.stills.samus_code(wildcards.still),
        images=rules.samus_scans.output.out,
        base=lambda wildcards: PLAN.stills.samus_base(wildcards.still),
    output:
        scores=f"{SAMUS}/scores/{{still}}.parquet",
        curve=f"{SAMUS}/curves/{{still}}.csv",
        receipt=f"{SAMUS}/receipts/{{still}}.json",
    log:
        f"{RESULTS}/logs/samus/{{still}}.log",
    # Receipts of the target's other jobs lie in the same folder.
    wildcard_constraints:
        still="|".join(PLAN.stills.samus_rows),
    resources:
        gpu=PLAN.gpus,
    message:
        "samus: {wildcards.still}"
    shell:
        run_stage(
            "samus_scores",
            "--name {wildcards.still} --images {input.images} --base {input.base}"
            " --scores {output.scores} --curve {output.curve}",
        )


rule samus_cost:
    input:
        params=PLAN.job_file("samus"),
        code=list_sources(
            "uscl_med3d.stills.deploy",
            *(
                f"uscl_med3d.methods.stills.{entry.module}"
                for entry in PLAN.params.samus.methods.values()
            ),
        ),
        images=rules.samus_scans.output.out,
        base=PLAN.foundation_weights("sam"),
    output:
        counted=f"{SAMUS}/counted.csv",
        speed=f"{SAMUS}/s5_speed.csv",
        receipt=f"{SAMUS}/receipts/cost.json",
    log:
        f"{RESULTS}/logs/samus/cost.log",
    threads: workflow.cores  # a job beside it would falsify the speed
    message:
        "samus: cost"
    shell:
        run_stage(
            "samus_cost",
            "--images {input.images} --base {input.base} --counted {output.counted}"
            " --speed {output.speed}",
        )


rule samus_tables:
    input:
        params=PLAN.job_file("samus"),
        code=list_sources("uscl_med3d.stills.samus"),
        scores=expand(rules.samus_scores.output.scores, still=PLAN.stills.samus_rows),
        counted=rules.samus_cost.output.counted,
    output:
        tables=[f"{SAMUS}/{name}.csv" for name in SAMUS_TABLES],
        receipt=f"{SAMUS}/receipts/tables.json",
    log:
        f"{RESULTS}/logs/samus/tables.log",
    params:
        out=lambda wildcards, output: dirname(output.tables[0]),
    message:
        "samus: tables S1 to S5 and claims"
    shell:
        run_stage(
            "samus_tables",
            "--counted {input.counted} --scores {input.scores} --out {params.out}",
        )


rule samus_radar:
    input:
        code=list_sources("uscl_med3d.stills.radar"),
        params=PLAN.job_file("samus"),
        tables=rules.samus_tables.output.tables,
        speed=rules.samus_cost.output.speed,
    output:
        figures=[f"{SAMUS}/s5_radar.{suffix}" for suffix in ("png", "pdf")],
        receipt=f"{SAMUS}/receipts/radar.json",
    log:
        f"{RESULTS}/logs/samus/radar.log",
    params:
        s2=lambda wildcards, input: input.tables[SAMUS_TABLES.index("s2")],
        s5=lambda wildcards, input: input.tables[SAMUS_TABLES.index("s5")],
        out=lambda wildcards, output: dirname(output.figures[0]),
    message:
        "samus: radar figure of S5"
    shell:
        run_stage(
            "samus_radar",
            "--s5 {params.s5} --s2 {params.s2} --speed {input.speed} --out {params.out}",
        )


rule samus:
    input:
        params=PLAN.job_file("samus"),
        code=list_sources("uscl_med3d.target_pages"),
        tables=[
            *rules.samus_tables.output.tables,
            rules.samus_cost.output.counted,
            rules.samus_cost.output.speed,
        ],
        figures=[
            file for file in rules.samus_radar.output.figures if file.endswith(".png")
        ],
        curves=expand(rules.samus_scores.output.curve, still=PLAN.stills.samus_rows),
        receipts=[
            rules.samus_scans.output.receipt,
            *expand(rules.samus_scores.output.receipt, still=PLAN.stills.samus_rows),
            rules.samus_cost.output.receipt,
            rules.samus_tables.output.receipt,
            rules.samus_radar.output.receipt,
        ],
    output:
        page=f"{SAMUS}/report.html",
        receipt=f"{SAMUS}/receipts/page.json",
    log:
        f"{RESULTS}/logs/samus/page.log",
    message:
        "samus: page"
    shell:
        run_stage(
            "target_page",
            "--target samus --tables {input.tables} --figures {input.figures} --curves {input.curves}"
            " --receipts {input.receipts} --out {output.page}",
        )
