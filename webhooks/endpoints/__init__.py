"""Endpoints: who wants to be told. Pages, API and the services behind them."""
