"""What Central itself does with requests that are decoded: rules, credentials, texts, protobuf JSON, answers.

No HTTP, no state of its own (`state` has the stores) and no list that the contract could hold.
"""
