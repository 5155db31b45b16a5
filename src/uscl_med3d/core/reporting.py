"""Names of all tables and figures, for the workflow and for the report."""

FIGURES = ("fig1", "fig2", "fig3", "fig4", "fig5", "fig6", "learning_curves", "click_curves", "rank_curve",
           "pseudolabel_quality", "pseudolabel_gap", "forgetting", "cases", "failures")  # fmt: skip
TABLES = ("table1", "table2", "table3", "table4", "table5", "table6", "table7")
