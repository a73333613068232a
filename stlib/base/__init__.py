"""What all model families share: modules, the pipeline that runs them, and their files."""
