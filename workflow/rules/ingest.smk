# Videos and key frames to volumes; the manifest of splits. From here on nothing knows whether data were simulated.


rule ingest:
    input:
        params=PLAN.job_file("ingest"),
        code=list_sources("uscl_med3d.data.ingest"),
        files=PLAN.cohort_files(),
    output:
        volumes=directory(f"{RESULTS}/volumes"),
        splits=f"data/splits/{PLAN.scale}.csv",
        failures=f"{RESULTS}/failures.csv",
        receipt=f"{RESULTS}/receipts/ingest/ingest.json",
    log:
        f"{RESULTS}/logs/ingest.log",
    priority: 20
    threads: PLAN.params.ingest.workers
    params:
        store=f"{RESULTS}/.store/ingest",
        cohort=lambda wildcards: PLAN.cohort_csv,  # a user's path: braces in it are no wildcards
    message:
        "ingest: videos and key frames to volumes"
    shell:
        run_stage(
            "ingest",
            "--cohort {params.cohort:q} --volumes {output.volumes} --splits {output.splits}"
            " --failures {output.failures} --store {params.store}",
        )


if not PLAN.simulated:

    # What was understood of each clip of a user's own, with a picture: do contours lie on their organs?
    rule ingest_sheets:
        input:
            params=PLAN.job_file("ingest_sheets"),
            code=list_sources("uscl_med3d.user.sheets"),
            files=PLAN.cohort_files(),
        output:
            sheets=directory(f"{RESULTS}/sheets"),
            receipt=f"{RESULTS}/receipts/ingest/sheets.json",
        log:
            f"{RESULTS}/logs/ingest_sheets.log",
        priority: 20
        params:
            cohort=lambda wildcards: PLAN.cohort_csv,
        message:
            "ingest: contact sheets"
        shell:
            run_stage(
                "ingest_sheets",
                "--cohort {params.cohort:q} --sheets {output.sheets}",
            )
