"""How log lines look (LOG_FORMAT) and whose they are."""
