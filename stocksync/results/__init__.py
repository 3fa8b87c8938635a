"""What jobs found, for the pages: queries, words and views."""
