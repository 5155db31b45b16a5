"""The simulated cohort and the simulated general-domain sets; nothing downstream knows that they are simulated."""
