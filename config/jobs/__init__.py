"""Long work as rows: claimed, proved again in every step, gone on with after a kill."""
