"""Stage `report`: tables, figures, claims and the offline page, from files alone (no torch, no model).

Entry functions: `tables.build_tables`, `tables.build_training_cost`, `figures.draw`, `claims.build_claims`,
`html.build_report`. Their numbers come from the per-case score files; nothing is typed in by hand except the
values that the paper reports, which lie unchanged in `reported/`.
"""
