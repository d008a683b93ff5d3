"""What a run found, as a document of plain values (`document`) and in five shapes made of it."""
