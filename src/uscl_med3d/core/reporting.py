"""Names of all tables and figures, for the workflow and for the report."""

FIGURES = (
    "fig1",
    "fig2",
    "fig3",
    "fig4",
    "fig5",
    "fig6",
    "learning_curves",
    "click_curves",
    "rank_curve",
    "pseudolabel_quality",
    "pseudolabel_gap",
    "forgetting",
    "image_use",
    "cases",
    "failures",
)
VOLUME_FIGURES = ("fig1", "fig2", "fig3", "fig5", "fig6", "failures")
"""Figures that show volumes; the others are drawn from tables, scores and curves."""
BLIND = ("ball", "atlas")
"""Methods that look at no image, rows of Tables 1, 2 and 6: a ball round the clicks, and where a class usually lies."""
SHOWN = ("sam_med3d", "uscl_med3d")
"""Methods whose masks are shown in Figure 6 and in the failure gallery: the base model and the paper's model."""
SHEETS = "sheets.json"
"""List of what was understood of each sweep, beside the contact sheets."""
OWN_TABLES = ("table1", "table7")
"""Tables of a cohort without the benchmark: those that say something about one model."""
TABLES = ("table1", "table2", "table3", "table4", "table5", "table6", "table7")
SAMUS_TABLES = ("s1", "s2", "s3", "s4_clicks", "s4_places", "s5", "claims")
"""What target `samus` writes (docs/samus.md)."""
SSL_TABLES = ("table8", "probe", "augment", "metadata", "collapse", "claims")
SSL_FIGURES = ("probes", "table8", "augment", "metadata", "verdicts")
"""What target `ssl` writes (docs/ssl.md)."""
COLLAPSE = ("feature_std", "effective_rank")
"""Columns of the collapse watch (`selfsupervised.collapse`)."""
