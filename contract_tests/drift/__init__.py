"""A published document beside the contract: reading either, comparing them, reporting and taking up what is new.

Pure but for `documents.fetched`. What a Central *does* is the matter of `checks`; here is what its document *says*.
"""
