# Raw files of the kind a hospital exports, and general-domain sets. Not used for what the user brings.

if PLAN.simulated:

    rule simulate:
        input:
            params=PLAN.job_file("simulate_cohort"),
            code=list_sources("uscl_med3d.simulate.cohort"),
        output:
            cohort=PLAN.cohort_csv,
            videos=directory(f"{PLAN.raw}/videos"),
            key_frames=directory(f"{PLAN.raw}/key_frames"),
            truth=directory(f"{PLAN.raw}/truth"),
            receipt=f"{RESULTS}/receipts/simulate/cohort.json",
        log:
            f"{RESULTS}/logs/simulate.log",
        priority: 20
        threads: PLAN.params.simulate.cohort.workers
        params:
            out=lambda wildcards, output: dirname(output.cohort),
        message:
            "simulate: ultrasound sweeps as raw files"
        shell:
            run_stage(
                "simulate_cohort",
                "--out {params.out}",
            )


if PLAN.simulated_sets:

    rule simulate_general:
        input:
            params=PLAN.job_file("simulate_general"),
            code=list_sources("uscl_med3d.simulate.general"),
        output:
            [directory(folder) for folder in PLAN.simulated_sets],
            receipt=f"{RESULTS}/receipts/simulate/general.json",
        log:
            f"{RESULTS}/logs/simulate_general.log",
        priority: 20
        threads: PLAN.params.simulate.general.workers
        params:
            out=lambda wildcards, output: dirname(output[0]),
        message:
            "simulate: general-domain sets"
        shell:
            run_stage(
                "simulate_general",
                "--out {params.out}",
            )
