"""`openapi.yaml` as tables, the matcher of its paths, and the validator of requests and answers.

No rules of Central: `central` has their code, the document their texts.
"""
