"""`openapi.yaml` as tables, the matcher of its paths, and the validator of requests and answers.

No rule of Central: what a rule does is in `central`, what it says is in the document.
"""
