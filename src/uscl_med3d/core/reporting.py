"""Names of all tables and figures, for the workflow and for the report."""

FIGURES = ("fig1", "fig2", "fig3", "fig4", "fig5", "fig6", "learning_curves", "click_curves", "rank_curve",
           "pseudolabel_quality", "pseudolabel_gap", "forgetting", "image_use", "cases", "failures")  # fmt: skip
VOLUME_FIGURES = ("fig1", "fig2", "fig3", "fig5", "fig6", "failures")
"""Figures that show volumes; the others are drawn from tables, scores and curves."""
BLIND = ("ball", "atlas")
"""Methods that look at no image, rows of Tables 1, 2 and 6: a ball round the clicks, and where a class usually lies."""
SHOWN = ("sam_med3d", "uscl_med3d")
"""Methods whose masks are shown in Figure 6 and in the failure gallery: the base model and the paper's model."""
TABLES = ("table1", "table2", "table3", "table4", "table5", "table6", "table7")

COLLAPSE = ("feature_std", "effective_rank")
"""Columns of the collapse watch (`selfsupervised.collapse`)."""
