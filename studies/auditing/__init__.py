"""The gradient audit: what `python -m studies.audit` is made of."""
