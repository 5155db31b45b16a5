"""The simulated cohort and general-domain sets; nothing downstream knows that they are simulated."""
