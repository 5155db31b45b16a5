# Tables, figures, claims and the report: from per-case scores, without torch.
REPORT = dict(
    params=PLAN.job_file("report"),
    scores=expand(rules.evaluate.output.scores, run=PLAN.runs),
)
