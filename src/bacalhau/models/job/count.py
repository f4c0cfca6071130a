"""The word for a number of partitions that the inputs of a job decide. It loads nothing, for flags name it too."""

AUTO = "auto"
