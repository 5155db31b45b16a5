"""One file per row of the tables, behind one interface (`base.Method`); `registry` finds them."""
